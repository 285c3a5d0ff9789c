import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { compileTemplate } from '../../src/template/compile.ts'
import { defineAgreement } from '../../src/xkeys/agreement.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { contextOf, parsed } from '../support/messages.ts'
import { describePeers, programPath } from '../support/peers.ts'
import { REQUEST_TEMPLATES, difficultRequests } from './difficult.ts'

const HASHES = ['sha256', 'sha384', 'sha512'] as const

/** Secrets shorter and longer than the hash's block, text and bytes. */
const SECRETS: readonly (readonly [name: string, secret: Buffer])[] = [
  ['text', Buffer.from('xks_DEMO-worthless-because-published-openssl')],
  ['one byte', Buffer.of(0)],
  ['all bytes', Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
  ['one block', Buffer.alloc(128, 0xa5)],
]

const MESSAGES = difficultRequests({ address: '127.0.0.1', port: 5060 })
/** Without an address: it says the same with sender and receiver. */
const TEMPLATES = REQUEST_TEMPLATES.filter((template) => !template.includes('SELF'))

/** Digest of `data` by openssl, as bytes. */
function openssl(options: readonly string[], data: Buffer): Buffer {
  return execFileSync(programPath('openssl'), ['dgst', '-binary', ...options], { input: data })
}

describePeers('openssl computes the same', ['openssl'], () => {
  it.each(HASHES.flatMap((hash) => SECRETS.map(([name, secret]) => [hash, name, secret] as const)))(
    'openssl dgst -%s, secret: %s',
    (hash, _, secret) => {
      const keyring = createKeyring([['g', [createKey({ name: 'k', secret })]]])
      for (const [index, [name, bytes]] of MESSAGES.entries()) {
        const context = contextOf(bytes, {}, 'kamailio')
        const request = TEMPLATES[index % TEMPLATES.length]!
        const expanded = compileTemplate(request).expand(context)
        if (!expanded.ok) throw new Error(expanded.missing)
        const mac = openssl(
          [`-${hash}`, '-mac', 'HMAC', '-macopt', `hexkey:${secret.toString('hex')}`],
          expanded.data,
        )
        const digest = openssl([`-${hash}`], Buffer.concat([secret, Buffer.from(':'), expanded.data]))
        const expected = [
          [`hmac-${hash}`, 'hex', mac],
          [`hmac-${hash}`, 'base64url', mac],
          [hash, 'hex', digest],
        ] as const
        for (const [algorithm, encoding, theirs] of expected) {
          const agreement = defineAgreement({
            header: 'X-Auth',
            group: 'g',
            algorithm,
            encoding,
            request,
            whenMissing: 'null-text',
          })
          const token = theirs.toString(encoding)
          const signed = createSigner({ agreement, keyring }).sign(context)
          expect(signed, `${name}, ${algorithm}, ${encoding}`).toMatchObject({ ok: true, token })
          // And openssl's token is taken for ours.
          const sent = {
            ...context,
            message: parsed(editHeaders(bytes, { add: [['X-Auth', token]] }), 'kamailio'),
          }
          expect(createVerifier({ agreement, keyring }).verify(sent)).toMatchObject({ ok: true })
        }
      }
    },
  )
})
