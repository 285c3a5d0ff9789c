/**
 * The keys of a group in words: which sign and until when, which are accepted. Names and times, never a secret.
 * @module
 */
import type { Issue } from '../errors.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { formatPath } from '../toml.ts'
import type { TrunkConfig } from './config.ts'

/** Changes of the signing key that are told. */
const MOST_CHANGES = 3

/** Two lines: what signs now and later, what is accepted. */
export function explainKeys(group: string, keyring: Keyring, now: Date): readonly string[] {
  const [first, ...later] = signersFrom(group, keyring, now)
  const signs = [
    `${first?.key ?? 'nothing'} signs${later.length === 0 && first?.key !== undefined ? ', without end' : ''}`,
    ...later.slice(0, MOST_CHANGES).map(({ key, from }) => `${key ?? 'nothing'} from ${isoOf(from)}`),
  ].join(', ')
  const usable = keyring
    .verificationKeys(group, now)
    .map(({ name }) => `${name} (${keyring.keyState({ group, name }, now)})`)
  const all = keyring.keys(group).length
  return [
    first?.key === undefined
      ? `${signs}: a request that should be signed is answered 500, a response dropped`
      : signs,
    usable.length === 0
      ? `none of ${all} usable: no token verifies`
      : `${usable.length} of ${all} usable: accepts ${usable.join(', ')}`,
  ]
}

/** Trunks whose group cannot do its work at `now`. */
export function keyWarnings(trunks: readonly TrunkConfig[], keyring: Keyring, now: Date): readonly Issue[] {
  return trunks.flatMap(({ name, agreement: { group } }) => {
    const path = formatPath(['trunks', name, 'agreement'])
    const id = JSON.stringify(group)
    if (keyring.verificationKeys(group, now).length === 0) {
      return [{ path, message: `no key of its group ${id} is usable: nothing can be signed or verified` }]
    }
    if (keyring.activeKey(group, now) !== undefined) return []
    return [{ path, message: `no key of its group ${id} signs yet: nothing can be sent signed` }]
  })
}

interface Signer {
  readonly key: string | undefined
  readonly from: Date
}

/** Who signs from when, beginning with now. */
function signersFrom(group: string, keyring: Keyring, now: Date): readonly Signer[] {
  const signers: Signer[] = [{ key: keyring.activeKey(group, now)?.name, from: now }]
  for (
    let at = keyring.nextChange(group, now);
    at !== undefined && signers.length <= MOST_CHANGES;
    at = keyring.nextChange(group, at)
  ) {
    const key = keyring.activeKey(group, at)?.name
    if (key !== signers.at(-1)?.key) signers.push({ key, from: at })
  }
  return signers
}

function isoOf(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z')
}
