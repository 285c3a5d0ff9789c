import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { editHeaders } from '../../src/message/edit.ts'
import type { MessageContext } from '../../src/message/types.ts'
import { defineAgreement, type Agreement, type AgreementInput } from '../../src/xkeys/agreement.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { contextOf } from './messages.ts'

/** Secrets of tests: none is published or weak, so that no warning hides what a test looks at. */
export const SECRETS = {
  old: 'xks_0Yr1fWkq7NwJxZp3uTgVbE6sLh9cMd2aQoXiKy8RtUe',
  new: 'xks_pQ4vZr8sTn1wHk6yLb3xJd9fGm2cVa7eUoWiNqRtYuS',
  other: 'xks_Zk3mXn9bVc5vLt7qRw1yPd4sHg8jFa2eUoTiMqNrYxS',
} as const

/** Two keys in `trunk-a` (the last signs), one in `trunk-b`. */
export function keyringOf(): Keyring {
  return createKeyring([
    [
      'trunk-a',
      [createKey({ name: 'old', secret: SECRETS.old }), createKey({ name: 'new', secret: SECRETS.new })],
    ],
    ['trunk-b', [createKey({ name: 'other', secret: SECRETS.other })]],
  ])
}

/** An agreement over most of a message, with what differs. */
export function agreementOf(input: Partial<AgreementInput> = {}): Agreement {
  return defineAgreement({
    header: 'X-Auth',
    group: 'trunk-a',
    algorithm: 'hmac-sha256',
    request: '$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)',
    response: '$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)',
    ...input,
  })
}

/** The message with its token, as the sender of the agreement makes it. */
export function signedBytes(
  bytes: Buffer,
  agreement: Agreement,
  travel: Partial<Omit<MessageContext, 'message'>> = {},
  keyring: Keyring = keyringOf(),
): Buffer {
  const result = createSigner({ agreement, keyring }).sign(contextOf(bytes, travel))
  if (!result.ok) throw new Error(`not signed: ${result.reason}`)
  return editHeaders(bytes, { remove: [result.header], add: [[result.header, result.token]] })
}

/** The message with the first character of its token changed. */
export function forged(bytes: Buffer, header = 'X-Auth'): Buffer {
  const text = bytes.toString('latin1')
  const at = text.indexOf(`${header}: `) + header.length + 2
  return Buffer.from(text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1), 'latin1')
}
