import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { importModparams } from '../../src/keyring/modparam.ts'
import { editHeaders } from '../../src/message/edit.ts'
import { parseMessage } from '../../src/message/parse.ts'
import type { MessageContext, SipMessage } from '../../src/message/types.ts'
import { compileTemplate } from '../../src/template/compile.ts'
import { defineAgreement, type Agreement } from '../../src/xkeys/agreement.ts'
import type { XkeyAlgorithm } from '../../src/xkeys/algorithm.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { documentedDifferences } from '../support/differences.ts'
import {
  VECTOR_FILES,
  besideCheckout,
  latin1Of,
  rawOf,
  readBeside,
  readChecks,
  readCopy,
  readExpressions,
  readMessages,
  readSignatures,
  readVectorKeyring,
  type CheckVector,
  type MessageVector,
  type SignatureVector,
} from '../support/vectors.ts'

const { xkey_modparams_in_order: modparams, templates } = readVectorKeyring()
const loadedAt = new Date('2026-11-21T12:00:00Z')
const keyring = importModparams(modparams.join('\n'), loadedAt, { maxKeysPerGroup: 1000 })
/** As in the run that made the vectors, the one key with `expires=1` has ended. */
const now = (): Date => new Date(loadedAt.getTime() + 30_000)

const documented = documentedDifferences()

/** Counts one part of the vectors. A comparison that fails must be a difference that is named, and as often as written. */
function createTally(part: string) {
  const deliberate: Record<string, number> = {}
  const faults: string[] = []
  let compared = 0
  let equal = 0
  return {
    compare(what: string, ours: unknown, theirs: unknown, difference: string | undefined): void {
      compared++
      if (ours === theirs) equal++
      else if (difference === undefined)
        faults.push(`${what}: ${JSON.stringify(ours)} is not ${JSON.stringify(theirs)}`)
      else deliberate[difference] = (deliberate[difference] ?? 0) + 1
    },
    /** A comparison of ours with ours, not counted. */
    check(what: string, ours: unknown, also: unknown): void {
      if (ours !== also) faults.push(`${what}: ${JSON.stringify(ours)} is not ${JSON.stringify(also)}`)
    },
    settle(expected: number): void {
      const differing = Object.values(deliberate).reduce((sum, count) => sum + count, 0)
      console.log(`${part}: compared ${compared}, equal ${equal}, deliberate ${differing}`)
      expect(faults).toEqual([])
      expect(deliberate).toEqual(documented.get(part) ?? {})
      expect(compared).toBe(expected)
      expect(equal).toBe(expected - differing)
    },
  }
}

type Vector = MessageVector | SignatureVector | CheckVector

function parseVector(vector: Vector): SipMessage | undefined {
  const result = parseMessage(rawOf(vector), { tolerance: 'kamailio' })
  return result.ok ? result.message : undefined
}

function contextOf(vector: Vector, message: SipMessage): MessageContext {
  return {
    message,
    transport: vector.transport,
    source: { address: vector.src_ip, port: vector.src_port },
    local: { address: vector.dst_ip, port: vector.dst_port },
  }
}

/** The agreement under which Kamailio signed or checked; undefined where it is none, which there is a refusal. */
function agreementOf(
  parameters: {
    readonly header: string
    readonly group: string
    readonly alg: string
    readonly template: string
  },
  kind: 'request' | 'response',
  repeated: 'reject' | 'first',
): Agreement | undefined {
  const { header, group, alg, template } = parameters
  try {
    return defineAgreement({ header, group, algorithm: alg as XkeyAlgorithm, [kind]: template, repeated })
  } catch (error) {
    if (error instanceof ConfigError) return undefined
    throw error
  }
}

const VALUE_DIFFERENCES: Readonly<Record<string, string>> = {
  '$(hfl(Contact)[1])': 'hfl-contact',
  '$hfl(Via)': 'hfl-via',
}

/** The difference that an expression is known for, if it is one. */
function differenceOf(vector: MessageVector, source: string, ours: unknown): string | undefined {
  const difference = VALUE_DIFFERENCES[source]
  if (difference !== 'hfl-contact') return difference
  // The bug is fixed in later releases: they give our value.
  const fixed = vector.values_head_diff?.[source]
  return fixed !== undefined && latin1Of(fixed) === ours ? difference : undefined
}

describe('T10: what Kamailio 5.6.3 computed is computed here, byte for byte', () => {
  it('the copy in the repository is the folder of vectors beside the checkout', () => {
    if (!besideCheckout)
      console.log('there is no folder of vectors beside the checkout: the copy in the repository was used')
    const names = besideCheckout ? VECTOR_FILES : []
    expect(names.filter((name) => readCopy(name) !== readBeside(name))).toEqual([])
  })

  it('every message is accepted or refused, and every expression and template has the same value', () => {
    const tally = createTally('messages')
    const expressions = readExpressions().map((source) => [source, compileTemplate(source)] as const)
    const compiled = Object.entries(templates).map(([id, source]) => [id, compileTemplate(source)] as const)
    const messages = readMessages()
    expect([messages.length, expressions.length, compiled.length]).toEqual([234, 215, 8])
    let accepted = 0
    for (const vector of messages) {
      const message = parseVector(vector)
      tally.compare(vector.id, message !== undefined, vector.accepted, undefined)
      if (message === undefined || !vector.accepted) continue
      accepted++
      const context = contextOf(vector, message)
      for (const [source, template] of expressions) {
        const what = `${vector.id} ${source}`
        const expanded = template.expand(context)
        const text = expanded.ok ? expanded.data.toString('latin1') : undefined
        // `$$` is a literal, which has no value of its own.
        const [{ value } = { value: text }] = template.explain(context)
        const theirs = latin1Of(vector.values![source]!)
        tally.compare(what, value, theirs, differenceOf(vector, source, value))
        tally.check(`${what}, expanded`, text, value ?? (source.includes('{') ? '' : '<null>'))
      }
      for (const [id, template] of compiled) {
        const expanded = template.expand(context)
        const data = expanded.ok && expanded.data.toString('base64')
        tally.compare(`${vector.id} ${id}`, data, vector.templates![id], undefined)
      }
    }
    tally.settle(messages.length + accepted * (expressions.length + compiled.length))
  })

  it('every signature is the same, and so is every message with its signatures added', () => {
    const tally = createTally('signatures')
    const vectors = readSignatures()
    expect(vectors).toHaveLength(234)
    let expected = vectors.length
    for (const vector of vectors) {
      const message = parseVector(vector)
      tally.compare(vector.id, message !== undefined, vector.accepted, undefined)
      if (message === undefined || !vector.accepted) continue
      const context = contextOf(vector, message)
      const added: (readonly [string, string])[] = []
      for (const signature of vector.signatures!) {
        const { header, template, line } = signature
        const agreement = agreementOf(signature, message.kind, 'first')!
        const signed = createSigner({ agreement, keyring, now }).sign(context)
        const ours = signed.ok ? `${signed.header}: ${signed.token}` : null
        const expired = !signed.ok && signed.reason === 'no-active-key' && signature.group === 'gexp'
        tally.compare(`${vector.id} ${header}`, ours, line, expired ? 'expired-key' : undefined)
        const expanded = compileTemplate(template).expand(context)
        const data = expanded.ok && expanded.data.toString('base64')
        tally.compare(`${vector.id} data of ${header}`, data, signature.data_b64, undefined)
        expected += 2
        if (line !== null) added.push([header, line.slice(header.length + 2)])
      }
      const rebuilt = editHeaders(rawOf(vector), { add: added }).toString('base64')
      tally.compare(`${vector.id} rebuilt`, rebuilt, vector.rebuilt_b64, undefined)
      expected++
    }
    tally.settle(expected)
  })

  it.each([
    ['checks', 'first'],
    ['repeats', 'reject'],
  ] as const)('every check ends the same (%s: a repeated token header, %s)', (part, repeated) => {
    const tally = createTally(part)
    const vectors = readChecks()
    expect(vectors).toHaveLength(1562)
    for (const vector of vectors) {
      const message = parseVector(vector)
      let ours = 'refused'
      let difference: string | undefined
      if (message !== undefined) {
        const agreement = agreementOf(vector, message.kind, repeated)
        const verified =
          agreement && createVerifier({ agreement, keyring, now }).verify(contextOf(vector, message))
        ours = verified?.ok === true ? 'accept' : 'reject'
        if (verified?.ok === false) {
          if (verified.reason === 'no-usable-key' && vector.group === 'gexp') difference = 'expired-key'
          if (verified.reason === 'header-repeated' && repeated === 'reject') difference = 'repeated-token'
        }
      }
      // The pass with `reject` is for repeated headers alone: ended keys are counted in the other.
      if (part === 'repeats' && difference === 'expired-key') ours = vector.expected
      tally.compare(vector.id, ours, vector.expected, difference)
    }
    tally.settle(vectors.length)
  })
})
