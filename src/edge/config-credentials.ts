/**
 * `[users.credentials]` of `edge.toml`: which kind of store it names, and what is wrong with it.
 * @module
 */
import type { z } from 'zod'
import { ConfigError } from '../errors.ts'
import { createHttpHook } from '../stores/http-hook.ts'
import type { HookTarget } from '../stores/http-hook-target.ts'
import { createHttpPasswords } from '../stores/http-password.ts'
import { compileHooksQuery } from '../stores/sql-hook-targets.ts'
import { compileSqlQuery } from '../stores/sql-query.ts'
import { compileSubscriber } from '../stores/sql-subscriber.ts'
import type { SubscriberOptions } from '../stores/sql-subscriber-options.ts'
import { isSqlUrl, parseSqlUrl } from '../stores/sql-url.ts'
import type { TomlPath, TomlTable } from '../toml.ts'
import type { Findings } from './config-checks.ts'
import type { credentialsSchema } from './config-credentials-schema.ts'
import { parseSecretReference, type SecretReference } from './secret-reference.ts'
import type { Found } from './settings.ts'

/** Kinds of stores. */
export type CredentialsKind = 'toml' | 'flexisip' | 'sql' | 'decision' | 'password'

/** Where accounts are looked up. Times in milliseconds. */
export interface CredentialsConfig {
  readonly kind: CredentialsKind
  /** URL or path, as written. */
  readonly source: string
  readonly username: string | undefined
  readonly password: SecretReference | undefined
  /** What the driver of a database is told, as written; texts such as `env:NAME` stand for what is there. */
  readonly driver: TomlTable | undefined
  readonly timeoutMs: number
  readonly connections: number | undefined
  readonly queue: number
  /** Absent: the store is asked each time. */
  readonly cache:
    | { readonly foundMs: number; readonly missingMs: number; readonly capacity: number }
    | undefined
  readonly sql: { readonly query?: string | undefined; readonly subscriber?: SubscriberOptions | undefined }
  readonly http: {
    readonly gives: 'password' | 'ha1'
    readonly method: 'POST' | 'GET'
    readonly secret: SecretReference | undefined
    readonly callHook: 'optional' | 'required'
    /** URLs by realm. */
    readonly hooks: Readonly<Record<string, string>>
    /** In place of them the SELECT that finds them in the database `source`. */
    readonly hooksQuery: string | undefined
  }
}

type Settings = z.output<typeof credentialsSchema>
type Draft = Found<typeof credentialsSchema>

/** The configuration that settings without a fault make. */
export function credentialsConfig(settings: Settings): CredentialsConfig {
  const { source, username, password, driver, connections, queue, http } = settings
  const kind = kindOf(source, http)
  const hooksQuery = kind === 'decision' ? http.hooks_query : undefined
  const isSlow = kind === 'sql' || kind === 'password' || hooksQuery !== undefined
  return {
    kind,
    source: kind === 'flexisip' ? source.slice('flexisip:'.length) : source,
    username,
    password,
    driver,
    timeoutMs: Math.round(settings.timeout * 1000),
    connections,
    queue,
    cache:
      isSlow && settings.cache_found > 0
        ? {
            foundMs: Math.ceil(settings.cache_found * 1000),
            missingMs: Math.ceil(settings.cache_missing * 1000),
            capacity: settings.cache_size,
          }
        : undefined,
    sql: sqlOptions(settings.sql),
    http: {
      gives: http.gives === 'ha1' ? 'ha1' : 'password',
      method: http.method,
      secret: http.signing_secret,
      callHook: http.call_hook,
      hooks: http.hooks,
      hooksQuery,
    },
  }
}

/** Looks for what is wrong without opening anything. */
export function checkCredentials(draft: Draft | undefined, { fault, doubt }: Findings): void {
  const { source, http = {}, sql = {} } = draft ?? {}
  if (source === undefined || draft === undefined) return
  const { hooks_query: hooksQuery } = http
  const kind = kindOf(source, http)
  const isFile = kind === 'toml' || kind === 'flexisip'
  const tell = (compile: () => unknown): void => {
    try {
      compile()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      for (const issue of error.issues) fault(at(...settingPath(issue.path)), issue.message)
    }
  }
  if (kind === 'toml' && /^[a-z][a-z0-9+]*:\/\//i.test(source))
    fault(
      at('source'),
      'its scheme is not known: there are flexisip:, sqlite:, mysql:, mariadb:, postgres:, https:, http:',
    )
  if (isSqlSource(source)) {
    tell(() => {
      const place = parseSqlUrl(source)
      if (place.engine !== 'sqlite' && place.password !== '') fault(at('source'), HOLDS_PASSWORD)
      const { query, subscriber } = sqlOptions(sql)
      if (hooksQuery !== undefined) compileHooksQuery(hooksQuery, place.engine, {})
      else if (query === undefined) compileSubscriber(subscriber ?? {}, place.engine)
      else compileSqlQuery(query, place.engine)
    })
    if (sql.calculate_ha1 === true)
      doubt(at('sql', 'calculate_ha1'), 'passwords stand in the database as plain text: store hashes')
  } else if (isSet(sql)) doubt(at('sql'), `it says nothing: ${source} is no database`)
  if (hooksQuery !== undefined && !isFile) checkHooksQuery(source, draft, { fault, doubt })
  else if (kind === 'decision') {
    tell(() =>
      createHttpHook({ targets: hookTargets(source, http.hooks ?? {}, { method: http.method }) }).close(),
    )
    if (source.startsWith('http:')) doubt(at('source'), NOT_ENCRYPTED)
  } else if (kind === 'password') {
    tell(() => createHttpPasswords({ url: source }).close())
    if (source.startsWith('http:')) doubt(at('source'), NOT_ENCRYPTED)
  } else if (isSet(http)) doubt(at('http'), `it says nothing: ${source} is no service`)
  if (kind === 'decision' && http.method === 'GET' && http.signing_secret !== undefined)
    fault(at('http', 'signing_secret'), 'it signs a body: a GET has none')
  checkDriver(source, draft.driver, { fault, doubt })
  if (isFile && draft.password !== undefined) doubt(at('password'), 'it says nothing: a file has none')
}

function checkHooksQuery(
  source: string,
  { username, http = {}, sql = {} }: Draft,
  { fault, doubt }: Findings,
): void {
  if (!isSqlSource(source)) return fault(at('http', 'hooks_query'), 'it asks a database: source names none')
  if (http.gives !== undefined && http.gives !== 'decision')
    fault(at('http', 'gives'), 'it must be "decision": hooks_query finds services that decide')
  if (Object.keys(http.hooks ?? {}).length > 0)
    fault(at('http', 'hooks'), 'it stands beside hooks_query: give only one of them')
  if (isSet(sql)) doubt(at('sql'), 'it says nothing: hooks_query finds services, and no accounts')
  if (username !== undefined)
    doubt(
      at('username'),
      'it says nothing: that of a database stands in its URL, that of a service in its row',
    )
}

function checkDriver(source: string, driver: Draft['driver'], { fault, doubt }: Findings): void {
  if (driver === undefined) return
  if (!isSqlSource(source) || /^sqlite:/i.test(source))
    doubt(at('driver'), 'it says nothing: source is no database server')
  const { password } = driver
  const wrong = typeof password === 'string' ? parseSecretReference(password) : undefined
  if (typeof wrong === 'string') fault(at('driver', 'password'), wrong)
}

const HOLDS_PASSWORD = 'it holds a password: say password = "env:NAME" or "file:PATH"'
const NOT_ENCRYPTED = 'what is asked and answered is not encrypted: use https, or a network of your own'

const at = (...path: readonly string[]): TomlPath => ['users', 'credentials', ...path]

/** The deciding services by realm; undefined stands for the realm of none. */
export function hookTargets(
  source: string,
  hooks: Readonly<Record<string, string | undefined>>,
  how: Omit<HookTarget, 'url'>,
): Readonly<Record<string, HookTarget>> {
  const targets = Object.entries(hooks).flatMap(([realm, url]) =>
    url === undefined ? [] : [[realm, { url, ...how }] as const],
  )
  return Object.fromEntries([['', { url: source, ...how }], ...targets])
}

/** Kind of a store by its source. */
function kindOf(
  source: string,
  { gives = 'decision', hooks_query: query }: NonNullable<Draft['http']>,
): CredentialsKind {
  if (source.startsWith('flexisip:')) return 'flexisip'
  if (/^https?:\/\//i.test(source)) return gives === 'decision' ? 'decision' : 'password'
  if (isSqlSource(source)) return query === undefined ? 'sql' : 'decision'
  return 'toml'
}

function isSqlSource(source: string): boolean {
  return /^(?:sqlite|mysql|mariadb|postgres|postgresql):/i.test(source) && isSqlUrl(source)
}

/** Whether anything differs from the defaults. */
function isSet(table: Draft['sql'] | Draft['http']): boolean {
  return Object.entries(table ?? {}).some(([name, value]) => {
    if (name === 'columns' || name === 'hooks') return Object.values(value).some((each) => each !== undefined)
    return value !== undefined && !DEFAULTS.has(`${name} ${JSON.stringify(value)}`)
  })
}

const DEFAULTS = new Set([
  'calculate_ha1 false',
  'use_domain true',
  'status_active ["0"]',
  'gives "decision"',
  'method "POST"',
  'call_hook "optional"',
])

function sqlOptions(sql: NonNullable<Draft['sql']>): CredentialsConfig['sql'] {
  if (sql.query !== undefined) return { query: sql.query }
  const { columns = {}, status_column: status } = sql
  return {
    subscriber: {
      table: sql.table,
      columns: Object.fromEntries(
        Object.entries(columns).flatMap(([name, column]) =>
          column === undefined ? [] : [[columnName(name), column]],
        ),
      ),
      calculateHa1: sql.calculate_ha1,
      useDomain: sql.use_domain,
      status: status === undefined ? undefined : { column: status, active: sql.status_active ?? [] },
      loadCredentials: sql.load_credentials,
      identities: sql.identities_column === undefined ? undefined : { column: sql.identities_column },
      uriTable: sql.uri_table,
      registersFor: sql.registers_for_column === undefined ? undefined : { column: sql.registers_for_column },
    },
  }
}

/** `ha1_sha256` as the stores call it: `ha1Sha256`. */
function columnName(setting: string): string {
  return setting.replace('_s', 'S')
}

/** What the stores call settings, as it is called in the file. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  url: ['source'],
  query: ['sql', 'query'],
  hooksQuery: ['http', 'hooks_query'],
  'subscriber.table': ['sql', 'table'],
  'subscriber.status.column': ['sql', 'status_column'],
  'subscriber.status.active': ['sql', 'status_active'],
  'subscriber.identities.column': ['sql', 'identities_column'],
  'subscriber.uriTable': ['sql', 'uri_table'],
  'subscriber.registersFor.column': ['sql', 'registers_for_column'],
  'subscriber.loadCredentials': ['sql', 'load_credentials'],
  'targets..url': ['source'],
  'targets..username': ['username'],
  'targets..secret': ['http', 'signing_secret'],
}

/** A path of the stores as one in `[users.credentials]`. */
export function settingPath(path: string): readonly string[] {
  const known = NAMES[path]
  if (known !== undefined) return known
  const [, column] = /^subscriber\.columns\.(\w+)$/.exec(path) ?? []
  if (column !== undefined) return ['sql', 'columns', column.replace(/(?=Sha)/, '_').toLowerCase()]
  const [, realm] = /^targets\.(.+)\.\w+$/.exec(path) ?? []
  if (realm !== undefined) return ['http', 'hooks', realm]
  return [path]
}
