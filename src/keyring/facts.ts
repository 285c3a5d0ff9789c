/**
 * What may be told of a keyring: names, states, times and fingerprints, never a secret.
 * @module
 */
import { createHash } from 'node:crypto'
import type { Keyring } from './keyring.ts'

/** One key as it may be told. */
export interface KeyFact {
  readonly group: string
  readonly key: string
  readonly state: string
  readonly fingerprint: string
  readonly activeFrom: Date | undefined
  readonly expires: Date | undefined
}

/** One group as it may be told. */
export interface GroupFact {
  readonly group: string
  readonly signable: boolean
  /** 8 hex digits over names, fingerprints and times of its keys: equal on nodes that hold the same. */
  readonly fingerprint: string
}

/** The keyring at `now`. */
export function describeKeyring(
  keyring: Keyring,
  now: Date,
): { readonly keys: readonly KeyFact[]; readonly groups: readonly GroupFact[] } {
  const keys = keyring.groups.flatMap((group) =>
    keyring.keys(group).map((key) => ({
      group,
      key: key.name,
      state: keyring.keyState({ group, name: key.name }, now) ?? 'expired',
      fingerprint: key.fingerprint,
      activeFrom: key.activeFrom,
      expires: key.expires,
    })),
  )
  const groups = keyring.groups.map((group) => ({
    group,
    signable: keyring.activeKey(group, now) !== undefined,
    fingerprint: groupFingerprint(keyring, group),
  }))
  return { keys, groups }
}

function groupFingerprint(keyring: Keyring, group: string): string {
  const hash = createHash('sha256').update('xkeys group fingerprint\0')
  for (const key of keyring.keys(group)) {
    const times = [key.activeFrom, key.expires, key.revoked].map((time) => time?.toISOString() ?? '-')
    hash.update([key.name, key.fingerprint, ...times, ''].join('\0'))
  }
  return hash.digest('hex').slice(0, 8)
}
