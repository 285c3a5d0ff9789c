import { createKey, type KeyInput } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { editHeaders } from '../../src/message/edit.ts'
import type { MessageContext } from '../../src/message/types.ts'
import { defineAgreement, type Agreement, type AgreementInput } from '../../src/xkeys/agreement.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { contextOf } from './messages.ts'

/** The instant at which tests happen, unless they say otherwise. */
export const NOON = new Date('2026-11-21T12:00:00Z')
export const later = (ms: number): Date => new Date(NOON.getTime() + ms)

export const SECRET = 'xks_a-secret-of-the-tests-0123456789abcdefghij'

/** A keyring of one group; a string is a key's secret, and its name. */
export function ringOf(keys: readonly (string | KeyInput)[] = [SECRET], group = 'trunk'): Keyring {
  const made = keys.map((key) => createKey(typeof key === 'string' ? { name: key, secret: key } : key))
  return createKeyring([[group, made]], { maxKeysPerGroup: 1000 })
}

export function agree(input: Partial<AgreementInput> = {}): Agreement {
  return defineAgreement({
    header: 'X-Auth',
    group: 'trunk',
    algorithm: 'hmac-sha256',
    request: '$fu:$ru:$hdr(CSeq):$rb',
    response: '$rs:$fu:$hdr(CSeq):$rb',
    ...input,
  })
}

/** How both ends are set up; they share agreement and keyring unless told apart. */
export interface Setup {
  readonly agreement?: Partial<AgreementInput>
  readonly ring?: Keyring
  readonly now?: Date
}

/** The token of a message. */
export function tokenOf(message: Buffer, { agreement, ring = ringOf(), now = NOON }: Setup = {}): string {
  const signed = createSigner({ agreement: agree(agreement), keyring: ring, now: () => now }).sign(
    contextOf(message),
  )
  if (!signed.ok) throw new Error(`not signed: ${signed.reason}`)
  return signed.token
}

/** The message with its token. */
export function signedBytes(message: Buffer, setup: Setup = {}): Buffer {
  const { header } = agree(setup.agreement)
  return editHeaders(message, { remove: [header], add: [[header, tokenOf(message, setup)]] })
}

/** `accepted by` the key and its state, or the reason of the refusal. */
export function verdict(
  message: Buffer,
  { agreement, ring = ringOf(), now = NOON }: Setup = {},
  travel: Partial<Omit<MessageContext, 'message'>> = {},
): string {
  const result = createVerifier({ agreement: agree(agreement), keyring: ring, now: () => now }).verify(
    contextOf(message, travel),
  )
  return result.ok ? `accepted by ${result.key.name}, ${result.state}` : result.reason
}

export const ACCEPTED = `accepted by ${SECRET}, active`
