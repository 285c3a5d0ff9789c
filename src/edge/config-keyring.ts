/**
 * The setting `keyring`: a file, or a store that the nodes of a fleet share.
 * @module
 */
import { z } from 'zod'
import type { Findings } from './config-checks.ts'
import { setting } from './config-facts.ts'
import { checkRedis, isRedisUrl, redisTable, type RedisConfig } from './config-redis.ts'

/** Where the keyring is: the path of a file, as written, or a shared one. */
export type KeyringPlace = string | RedisConfig

/** The name of a shared keyring where nothing gives another. */
export const DEFAULT_KEYRING_NAME = 'xkeys'

/** The table `[keyring]`. */
export const keyringTable = z.strictObject({
  source: setting(z.string().min(1), {
    meaning:
      'Where the keyring is: `redis://` or `rediss://` (TLS) with host, port and number of the database, `unix:/path` for a socket, or the path of a file. `keyring = "…"` on top of the file is short for a table with this alone.',
    example: '"redis://10.0.0.9:6379/0"',
  }),
  name: setting(z.string().min(1).max(64).optional(), {
    meaning:
      'Name of a shared keyring: it is stored and must be sealed under it. Several keyrings so share a Redis.',
    example: '"trunks"',
    otherwise: '`kek.sealed_as`, or `xkeys`',
  }),
  redis: redisTable,
})

/** Where a setting of the client stands in `edge.toml`: `url` is the source. */
export function keyringPathOf(path: string): string {
  return path === 'url' ? 'keyring.source' : `keyring.redis.${path.replace(/^options\./, '')}`
}

/** The setting as far as it could be read. */
export interface KeyringDraft {
  readonly keyring?: string | z.output<typeof keyringTable> | undefined
  readonly state?: string | undefined
  readonly kek?: { readonly sealed_as?: string | undefined } | undefined
}

/** The place that a configuration means. */
export function keyringPlaceOf({
  keyring,
  kek,
}: KeyringDraft & { keyring: NonNullable<KeyringDraft['keyring']> }): KeyringPlace {
  const { source, name, redis = {} } = typeof keyring === 'string' ? { source: keyring } : keyring
  if (!isRedisUrl(source)) return source
  return { source, name: name ?? kek?.sealed_as ?? DEFAULT_KEYRING_NAME, redis }
}

/** What a shared keyring needs, and what has no meaning for a file. */
export function checkKeyringPlace(draft: KeyringDraft, findings: Findings): void {
  const { fault } = findings
  const { keyring, kek } = draft
  if (keyring === undefined) return
  const table = typeof keyring === 'string' ? { source: keyring } : keyring
  const path = typeof keyring === 'string' ? ['keyring'] : ['keyring', 'source']
  const { source, name, redis } = table
  if (!isRedisUrl(source)) {
    if (/^\w+:\/\//.test(source))
      fault(path, 'it must be a path, or begin with redis://, rediss:// or unix:/')
    if (name !== undefined) fault(['keyring', 'name'], 'a file has none: sealed_as of [kek] says its name')
    if (redis !== undefined) fault(['keyring', 'redis'], 'the keyring is a file: it needs no Redis')
    return
  }
  checkRedis(table, ['keyring'], path, findings)
  if (kek === undefined) fault(['kek'], 'it is missing: a shared keyring is sealed')
  if (draft.state === undefined) {
    fault(
      ['state'],
      'it is missing: there a node keeps its copy of a shared keyring, to start without the store',
    )
  }
  const sealedAs = kek?.sealed_as
  if (name !== undefined && sealedAs !== undefined && name !== sealedAs) {
    fault(['kek', 'sealed_as'], `it must be ${JSON.stringify(name)}, as keyring.name says, or be left out`)
  }
}
