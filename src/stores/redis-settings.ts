/**
 * Where a Redis is: an address, the nodes of a Cluster, and what is passed on to ioredis.
 * @module
 */
import type { ClusterOptions, RedisOptions } from 'ioredis'
import { nearest, type Issue } from '../errors.ts'

/** Where a Redis is. */
export interface RedisSettings {
  /**
   * `redis://[[user]:password@]host[:6379][/0]`, `rediss://…` with TLS, or `unix:/path/of/the.sock`. Of a Cluster or with
   * sentinels only its scheme, user and password count.
   */
  readonly url: string
  /** Nodes of a Cluster, as `host:port`; it tells of the others. */
  readonly nodes?: readonly string[] | undefined
  /** Settings of ioredis, as they are: `username`, `password`, `tls`, `sentinels` and `name`, … */
  readonly options?: Readonly<Record<string, unknown>> | undefined
}

type ConnectionOptions = RedisOptions & { replyMapping: 'legacy' }

/** The settings as ioredis wants them. */
export interface RedisPlace {
  /** For messages: no user, no password. */
  readonly place: string
  /** How long a command may take, milliseconds. */
  readonly timeout: number
  readonly options: ConnectionOptions
  /** Of a Cluster: its nodes, and what belongs to the whole. */
  readonly cluster:
    | {
        readonly nodes: readonly { readonly host: string; readonly port: number }[]
        readonly options: ClusterOptions & { readonly redisOptions: ConnectionOptions }
      }
    | undefined
}

/** How long a command may take, milliseconds, unless `commandTimeout` says otherwise. */
const COMMAND_TIMEOUT = 1000

/** What keeps this client bounded, its replies readable and its keys in place: not to be set by others. */
const OWN = new Set([
  'autoResendUnfulfilledCommands',
  'autoResubscribe',
  'Connector',
  'clusterRetryStrategy',
  'enableAutoPipelining',
  'enableOfflineQueue',
  'keyPrefix',
  'lazyConnect',
  'maxRetriesPerRequest',
  'monitor',
  'readOnly',
  'replyMapping',
  'retryStrategy',
  'scripts',
  'sentinelRetryStrategy',
  'stringNumbers',
  'host',
  'port',
  'path',
])

/** What belongs to a Cluster as a whole; everything else to the connection to each node. */
const OF_CLUSTER = new Set([
  'dnsLookup',
  'maxRedirections',
  'natMap',
  'resolveSrv',
  'retryDelayOnClusterDown',
  'retryDelayOnFailover',
  'retryDelayOnMoved',
  'retryDelayOnTryAgain',
  'slotsRefreshInterval',
  'slotsRefreshTimeout',
  'useSRVRecords',
])

/** The next try to connect is this far away: never given up, never all nodes of a fleet at once. */
const retry = (): number => 1000 + Math.random() * 1000

/** Settings for ioredis, or everything that is wrong with those given; no issue holds a password. */
export function readRedisSettings({
  url,
  nodes,
  options = {},
}: RedisSettings): RedisPlace | readonly Issue[] {
  const issues: Issue[] = []
  const report = (path: string, message: string): undefined => {
    issues.push({ path, message })
  }
  for (const name of Object.keys(options))
    if (OWN.has(name)) report(`options.${name}`, 'is set by xkeys itself: take it out')
  for (const name of ['commandTimeout', 'connectTimeout'] as const) {
    const value = options[name]
    if (value !== undefined && !(typeof value === 'number' && value >= 1 && value <= 60_000))
      report(`options.${name}`, 'must be a number of milliseconds, from 1 to 60000')
  }
  const at = readUrl(url, report)
  const members = (nodes ?? []).map((node, i) => readNode(node, `nodes[${i}]`, report))
  if (nodes?.length === 0) report('nodes', 'must name at least one node, or be left out')
  const { sentinels, name } = options
  if (sentinels !== undefined && nodes !== undefined) report('nodes', 'cannot stand beside sentinels')
  if (sentinels !== undefined && typeof name !== 'string')
    report('options.name', 'is missing: the name under which the sentinels know the master')
  if (issues.length > 0 || at === undefined) return issues

  const entries = Object.entries(options)
  const isSingle = sentinels === undefined && nodes === undefined
  const timeout = typeof options['commandTimeout'] === 'number' ? options['commandTimeout'] : COMMAND_TIMEOUT
  const base: ConnectionOptions = {
    connectTimeout: 2000,
    disconnectTimeout: 500,
    keepAlive: 10_000,
    ...at.account,
    ...(isSingle && at.endpoint),
    ...Object.fromEntries(entries.filter(([setting]) => nodes === undefined || !OF_CLUSTER.has(setting))),
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // The client looks after the time itself; this is for what is said before the connection is ready.
    commandTimeout: timeout + 500,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    replyMapping: 'legacy',
    retryStrategy: retry,
    sentinelRetryStrategy: retry,
  }
  if (nodes === undefined) {
    const place = isSingle ? at.place : `${String(name)} of the sentinels`
    return { place, timeout, options: base, cluster: undefined }
  }
  const known = members.filter((node) => node !== undefined)
  const { enableOfflineQueue, retryStrategy: _, ...redisOptions } = base
  const whole = {
    ...Object.fromEntries(entries.filter(([setting]) => OF_CLUSTER.has(setting))),
    enableOfflineQueue,
    clusterRetryStrategy: retry,
    redisOptions,
  }
  const place = `the cluster of ${known.map(({ host, port }) => `${host}:${port}`).join(', ')}`
  return { place, timeout, options: base, cluster: { nodes: known, options: whole } }
}

type Report = (path: string, message: string) => undefined

const SCHEMES = ['redis', 'rediss', 'unix']

interface Address {
  readonly place: string
  readonly account: RedisOptions
  readonly endpoint: RedisOptions
}

function readUrl(url: string, report: Report): Address | undefined {
  const [, scheme = ''] = /^([a-z+]+):/i.exec(url) ?? []
  if (!SCHEMES.includes(scheme)) {
    const meant = nearest(scheme, SCHEMES)
    const hint = meant === undefined ? '' : `; did you mean ${meant}:?`
    return report('url', `must begin with redis://, rediss:// or unix:/${hint}`)
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  // Not shown: it may hold a password with signs that must be escaped.
  if (parsed === undefined)
    return report('url', 'is not a URL: signs as / @ : in a password are written %2F %40 %3A')
  if (parsed.search !== '' || parsed.hash !== '') return report('url', 'must have nothing behind ? or #')
  const [username, password, path] = [parsed.username, parsed.password, parsed.pathname].map(unescapeText)
  if (username === undefined || password === undefined || path === undefined)
    return report('url', 'has a % that is not followed by two hexadecimal digits')
  const account = { ...(username !== '' && { username }), ...(password !== '' && { password }) }
  if (scheme === 'unix') {
    if (parsed.host !== '' || path.length < 2) return report('url', 'must be unix: and the path of a socket')
    return { account, endpoint: { path }, place: `unix:${path}` }
  }
  if (!/^(?:\/\d{0,5})?$/.test(path))
    return report('url', 'must have nothing but the number of a database behind the server')
  const db = Number(path.slice(1))
  const host = parsed.hostname === '' ? 'localhost' : parsed.hostname.replace(/^\[|\]$/g, '')
  const port = parsed.port === '' ? 6379 : Number(parsed.port)
  const place = `${scheme}://${parsed.hostname === '' ? host : parsed.hostname}:${port}/${db}`
  return {
    account: { ...account, db, ...(scheme === 'rediss' && { tls: {} }) },
    endpoint: { host, port },
    place,
  }
}

function readNode(
  node: string,
  path: string,
  report: Report,
): { readonly host: string; readonly port: number } | undefined {
  const [, host = '', port = ''] = /^(\[[\da-f:.]+\]|[^\s:/@[\]]+):(\d{1,5})$/i.exec(node) ?? []
  if (host === '' || Number(port) < 1 || Number(port) > 65_535)
    return report(path, 'must be written as host:port')
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function unescapeText(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
