import { importModparams } from '../../src/keyring/modparam.ts'
import { parseMessage } from '../../src/message/parse.ts'
import type { ParseFailure, Tolerance } from '../../src/message/types.ts'
import { compileTemplate } from '../../src/template/compile.ts'
import type { VerifyFailure } from '../../src/xkeys/verify.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { contextOf } from './messages.ts'
import { NOON, agree, later } from './parties.ts'
import { readExpressions } from './vectors.ts'

/** Every expression of the vectors: all variables, all families of transformation. */
const EVERYTHING = [
  ...readExpressions(),
  '$(hdr(Contact){s.rtrim})',
  '$(rb{s.rtrim})',
  '$(hdr(Route)[*])',
].join('|')

const explained = compileTemplate(EVERYTHING)
const keyring = importModparams('id=trunk;name=k;value=judge', NOON)
const now = (): Date => later(0)

const parties = (['sha256', 'hmac-sha512'] as const).map((algorithm) => {
  const agreement = agree({
    algorithm,
    whenMissing: 'null-text',
    request: EVERYTHING,
    response: EVERYTHING,
    maxData: 65536,
  })
  return {
    signer: createSigner({ agreement, keyring, now }),
    verifier: createVerifier({ agreement, keyring, now }),
  }
})

/** Parses bytes and asks everything of the message; how it ends. */
export function judge(bytes: Buffer, tolerance: Tolerance): 'accepted' | ParseFailure | VerifyFailure {
  const parsed = parseMessage(bytes, { tolerance })
  if (!parsed.ok) {
    if (parsed.offset < 0 || parsed.offset > bytes.length) throw new Error(`offset ${parsed.offset}`)
    return parsed.reason
  }
  const context = contextOf(parsed.message)
  explained.explain(context)
  let answer: 'accepted' | VerifyFailure = 'accepted'
  for (const { signer, verifier } of parties) {
    signer.sign(context)
    const verified = verifier.verify(context)
    if (!verified.ok) answer = verified.reason
  }
  return answer
}
