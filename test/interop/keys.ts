/**
 * The keys of the interop tests: one group, and keyrings that hold some of them.
 */
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { exportModparams } from '../../src/keyring/modparam.ts'

export const GROUP = 'trunk-a'

const SECRETS = {
  newest: 'xks_DEMO-worthless-because-published-interop-newest',
  older: 'xks_DEMO-worthless; with a blank, = and "quotes"',
  removed: 'xks_DEMO-worthless-because-published-interop-removed',
} as const

export type KeyName = keyof typeof SECRETS
export const KEYS = Object.keys(SECRETS) as KeyName[]

/** A keyring of these keys, in which the first named signs and the others only verify. */
export function ringOf(signing: KeyName, ...others: KeyName[]): Keyring {
  const [past, future] = [new Date('2026-01-01T00:00:00Z'), new Date('2126-01-01T00:00:00Z')]
  const keys = [signing, ...others].map((name) =>
    createKey({ name, secret: Buffer.from(SECRETS[name]), activeFrom: name === signing ? past : future }),
  )
  return createKeyring([[GROUP, keys]])
}

/** The keys as lines of a kamailio.cfg that signs with the first named. */
export function modparamsOf(signing: KeyName, ...others: KeyName[]): string {
  return exportModparams(ringOf(signing, ...others), new Date())
}
