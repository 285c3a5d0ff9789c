/**
 * The URL of a database: `sqlite:PATH`, `mysql://user:password@host/database`, `mariadb://…`, `postgres://…`.
 * @module
 */
import { resolve } from 'node:path'
import { ConfigError, nearest, type Issue } from '../errors.ts'
import type { SqlEngine } from './sql-connection.ts'

/** Where a database is. */
export type SqlPlace = SqlitePlace | ServerPlace

/** A file. */
export interface SqlitePlace {
  readonly engine: 'sqlite'
  readonly path: string
  /** For people. */
  readonly name: string
}

/** A server. */
export interface ServerPlace {
  readonly engine: 'mysql' | 'postgres'
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** A unix socket: of MariaDB the socket itself, of PostgreSQL its folder. */
  readonly socket?: string | undefined
  /** `on`: with the authorities that Node knows. A path: with the authority in that file. */
  readonly tls?: { readonly ca?: string | undefined } | undefined
  /** For people: without the password. */
  readonly name: string
}

const SCHEMES: Readonly<Record<string, SqlEngine>> = {
  sqlite: 'sqlite',
  mysql: 'mysql',
  mariadb: 'mysql',
  postgres: 'postgres',
  postgresql: 'postgres',
}
const PORTS = { mysql: 3306, postgres: 5432 } as const
const PARAMETERS = ['socket', 'tls', 'ca'] as const

/** What stands beside a URL. */
export interface SqlUrlOptions {
  /** Takes the place of a password in the URL: it may come from a file or the environment. */
  readonly password?: string | undefined
  /** Where relative paths start; default the working directory. */
  readonly folder?: string | undefined
}

/** Whether a text is meant as the URL of a database, and not as the path of a file. */
export function isSqlUrl(text: string): boolean {
  const scheme = /^([a-z]+):/i.exec(text)?.[1]?.toLowerCase()
  return scheme !== undefined && (Object.hasOwn(SCHEMES, scheme) || text.includes('://'))
}

/**
 * Reads the URL of a database. Of a server, `?socket=PATH` is a unix socket, `?tls=on` encrypts and verifies the server's
 * name, `?ca=FILE` does so with an authority of one's own. User and password are percent-encoded where they need it.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue; none shows a password
 * @example
 * parseSqlUrl('postgres://xkeys@db.example/kamailio?tls=on', { password })
 */
export function parseSqlUrl(url: string, options: SqlUrlOptions = {}): SqlPlace {
  const scheme = /^([a-z]+):/i.exec(url)?.[1]?.toLowerCase() ?? ''
  const engine = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined
  if (engine === undefined) {
    throw refuse([`must begin with sqlite:, mysql://, mariadb:// or postgres://`])
  }
  if (engine === 'sqlite') return sqlitePlace(url.slice('sqlite:'.length), options)
  if (!URL.canParse(url) || !url.slice(scheme.length).startsWith('://'))
    throw refuse([`cannot be read: it is ${scheme}://user:password@host:port/database`])
  return serverPlace(engine, new URL(url), options)
}

function sqlitePlace(rest: string, { folder = '.', password }: SqlUrlOptions): SqlitePlace {
  const path = rest.startsWith('//') ? rest.slice(2) : rest
  const faults: string[] = []
  if (path === '' || path === ':memory:') faults.push('must name a file: sqlite:/var/lib/xkeys/accounts.db')
  if (/[?\0]/.test(path)) faults.push('a file of SQLite has no parameters')
  if (password !== undefined) faults.push('a file of SQLite has no password')
  if (faults.length > 0) throw refuse(faults)
  return { engine: 'sqlite', path: resolve(folder, path), name: `sqlite:${path}` }
}

function serverPlace(engine: 'mysql' | 'postgres', url: URL, options: SqlUrlOptions): ServerPlace {
  const faults: string[] = []
  const decode = (text: string, what: string): string => {
    try {
      return decodeURIComponent(text)
    } catch {
      faults.push(`the ${what} has a % that begins no escape: write %25`)
      return ''
    }
  }
  const user = decode(url.username, 'user')
  const own = decode(url.password, 'password')
  const database = decode(url.pathname.slice(1), 'database')
  if (user === '') faults.push('names no user')
  if (database === '' || database.includes('/')) faults.push('names no database')
  if (own !== '' && options.password !== undefined) faults.push('has a password, and another one is given')
  if (url.hash !== '') faults.push('has a # in it: write %23')
  for (const name of new Set(url.searchParams.keys())) {
    if ((PARAMETERS as readonly string[]).includes(name)) continue
    const near = nearest(name, PARAMETERS)
    const hint = near === undefined ? `it has ${PARAMETERS.join(', ')}` : `did you mean ${near}?`
    faults.push(`has no parameter ${JSON.stringify(name)}: ${hint}`)
  }
  const [socket, tls, ca] = PARAMETERS.map((name) => url.searchParams.get(name) ?? undefined)
  if (tls !== undefined && tls !== 'on') faults.push('tls is "on", or is not there')
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (host === '' && socket === undefined) faults.push('names no host')
  if (faults.length > 0) throw refuse(faults)
  const { folder = '.' } = options
  return {
    engine,
    host: host === '' ? 'localhost' : host,
    port: url.port === '' ? PORTS[engine] : Number(url.port),
    user,
    password: options.password ?? own,
    database,
    socket: socket === undefined ? undefined : resolve(folder, socket),
    tls:
      tls === undefined && ca === undefined
        ? undefined
        : { ca: ca === undefined ? undefined : resolve(folder, ca) },
    name: `${engine}://${user}@${socket ?? url.host}/${database}`,
  }
}

function refuse(faults: readonly string[]): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_INVALID',
    faults.map((message): Issue => ({ path: 'url', message })),
  )
}
