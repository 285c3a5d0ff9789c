/**
 * A Redis as a configuration describes it: where it is, and what its client is told.
 * @module
 */
import { readRedisSettings } from '../stores/redis-settings.ts'
import type { TomlPath, TomlTable } from '../toml.ts'
import type { Findings } from './config-checks.ts'
import { clientTable } from './config-facts.ts'

/** Something that is shared through Redis. */
export interface RedisConfig {
  /** `redis://`, `rediss://` or `unix:/`, as written: a password may stand in it. */
  readonly source: string
  /** The name it is stored under. */
  readonly name: string
  /** Settings of the client, as written; texts such as `env:NAME` stand for what is there. */
  readonly redis: TomlTable
}

/** The table of settings of the client. */
export const redisTable = clientTable({
  meaning:
    'Any setting of the Redis client (`ioredis`), as it is: `username`, `password`, `tls`, `sentinels` and their `name`; and `nodes`, a list of `host:port`, for a Redis Cluster. A text `env:NAME` or `file:PATH`, at any depth, stands for what is there: so no password is in this file.',
  example: '"env:XKEYS_REDIS_PASSWORD"',
  form: 'as `ioredis` takes it',
  otherwise: 'none',
})

/** Whether a source names a Redis, and no file. */
export function isRedisUrl(source: string): boolean {
  return /^(?:rediss?:\/\/|unix:\/)/i.test(source)
}

/** What the client would refuse; what is referred to is not fetched for that. @param table where the settings stand */
export function checkRedis(
  {
    source,
    redis = {},
  }: { readonly source: string; readonly redis?: Readonly<Record<string, unknown>> | undefined },
  table: TomlPath,
  path: TomlPath,
  { fault, doubt }: Findings,
): void {
  const { nodes, ...options } = redis
  if (nodes !== undefined && !(Array.isArray(nodes) && nodes.every((node) => typeof node === 'string')))
    return fault([...table, 'redis', 'nodes'], 'it must be a list of "host:port"')
  const read = readRedisSettings({ url: source, options, nodes })
  if (!('place' in read)) {
    for (const issue of read) {
      const [, place = ''] = /^options\.(\w+)/.exec(issue.path) ?? []
      const where = issue.path === 'url' ? path : [...table, 'redis', place === '' ? 'nodes' : place]
      fault(where, `it ${issue.message}`)
    }
  } else if (URL.canParse(source) && new URL(source).password !== '') {
    const place = [...table, 'redis'].join('.')
    doubt(path, `a password stands in it: [${place}] takes password = "env:NAME" or "file:PATH"`)
  }
}
