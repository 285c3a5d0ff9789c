import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { requestOf, startRig, type Rig } from '../support/edge-rig.ts'
import { contextOf } from '../support/messages.ts'
import { agreementOf, SECRETS, signedBytes } from '../support/signed-messages.ts'

const key = (name: string, secret: string, ...more: readonly string[]): string =>
  [`[[groups.trunk-a.keys]]`, `name = "${name}"`, `value = "${secret}"`, ...more, ''].join('\n')

/** One keyring, read once: what follows is the clock's doing alone. */
const TEXT = [
  key('a', SECRETS.old, 'expires = 2026-11-21T12:01:00Z'),
  key('b', SECRETS.new, 'active_from = 2026-11-21T12:00:30Z', 'revoked = 2026-11-21T12:01:30Z'),
  key('c', SECRETS.other, 'active_from = 2026-11-21T12:02:00Z'),
].join('')
const KEYS = { a: SECRETS.old, b: SECRETS.new, c: SECRETS.other }

/** From each instant on: the key that signs, and those that verify. */
const TABLE: readonly (readonly [time: string, signs: string, verify: string])[] = [
  ['12:00:00.000', 'a', 'abc'],
  ['12:00:29.999', 'a', 'abc'],
  ['12:00:30.000', 'b', 'abc'],
  ['12:00:59.999', 'b', 'abc'],
  ['12:01:00.000', 'b', 'bc'],
  ['12:01:29.999', 'b', 'bc'],
  ['12:01:30.000', '-', 'c'],
  ['12:01:59.999', '-', 'c'],
  ['12:02:00.000', 'c', 'c'],
  ['13:00:00.000', 'c', 'c'],
]
const at = (time: string): Date => new Date(`2026-11-21T${time}Z`)

/** A signer and a verifier that live through all times that they are asked at. */
function party(): (time: string) => readonly [signs: string, verify: string] {
  let now = at('11:00:00.000')
  const agreement = agreementOf()
  const options = { agreement, keyring: parseKeyring(TEXT), now: () => now }
  const signer = createSigner(options)
  const verifier = createVerifier(options)
  const message = requestOf('OPTIONS', { at: '192.0.2.1:5060' } as Parameters<typeof requestOf>[1])
  const signed = Object.entries(KEYS).map(
    ([name, secret]) => [name, signedBytes(message, agreement, {}, parseKeyring(key(name, secret)))] as const,
  )
  return (time) => {
    now = at(time)
    const made = signer.sign(contextOf(message))
    const good = signed.filter(([, bytes]) => verifier.verify(contextOf(bytes)).ok)
    return [made.ok ? made.key.name : '-', good.map(([name]) => name).join('')]
  }
}

describe('keys by the clock, without a reload', () => {
  it.each(TABLE)('at %s %s signs and %s verify', (time, signs, verify) => {
    expect(party()(time)).toEqual([signs, verify])
  })

  it('one signer and one verifier live through the whole table', () => {
    const judge = party()
    expect(TABLE.map(([time]) => [time, ...judge(time)])).toEqual(TABLE)
  })

  it('a step forwards is a step through all that lies between', () => {
    const judge = party()
    expect(judge('12:00:00.000')).toEqual(['a', 'abc'])
    expect(judge('12:01:30.000')).toEqual(['-', 'c'])
  })

  it.each(TABLE.map(([time, signs, verify]) => [time, signs, verify] as const))(
    'a step backwards from %s brings no key back: %s, %s',
    (time, signs, verify) => {
      const judge = party()
      judge(time)
      for (const earlier of ['12:00:45.000', '12:00:00.000', '11:00:00.000']) {
        const [signsNow, verifyNow] = judge(earlier < time ? earlier : time)
        expect([signsNow, verifyNow]).toEqual([signs, verify])
      }
    },
  )

  it('after a step backwards keys go on to end in their time', () => {
    const judge = party()
    judge('12:00:30.000')
    judge('11:00:00.000')
    expect(judge('12:01:00.000')).toEqual(['b', 'bc'])
    expect(judge('12:02:00.000')).toEqual(['c', 'c'])
  })
})

describe('an edge that runs', () => {
  it('follows the clock to the second, and steps of it', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: at('12:00:00.000') })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const rig = await startRig({ keyring: parseKeyring(TEXT) })
    const judged: (readonly [time: string, signs: string, verify: string])[] = []
    const wanted = [...TABLE, ['12:00:00.000', 'c', 'c'] as const]
    for (const [time, signs, verify] of wanted) {
      vi.setSystemTime(at(time))
      judged.push([time, await signerOf(rig, signs), await verifiersOf(rig, verify)])
    }
    expect(judged).toEqual(wanted)
  })
})

let calls = 0
const nextCall = (): { readonly 'Call-ID': string } => ({ 'Call-ID': `call-${++calls}` })

/** The key that the edge signs a request to the carrier with; `-`: it cannot. `wanted` only says where to wait. */
async function signerOf(rig: Rig, wanted: string): Promise<string> {
  const { carrier, upstream } = rig
  const asked = requestOf('OPTIONS', upstream, {
    start: `OPTIONS sip:bob@${carrier.at} SIP/2.0`,
    with: nextCall(),
  })
  await upstream.send(asked, rig.upstreamAt)
  const { message, bytes } = await (wanted === '-' ? upstream : carrier).receive()
  if (message.status === 500 && rig.events.at(-1)?.reason === 'no-active-key') return '-'
  const { agreement } = rig.config.trunks[0]!
  const travel = { source: rig.trunkAt, local: carrier.local }
  const made = Object.entries(KEYS).filter(([name, secret]) => {
    const keyring = parseKeyring(key(name, secret))
    return createVerifier({ agreement, keyring }).verify(contextOf(bytes, travel)).ok
  })
  return made.map(([name]) => name).join('')
}

/** The keys of the carrier that verify; `wanted` only says where to wait. */
async function verifiersOf(rig: Rig, wanted: string): Promise<string> {
  const { agreement } = rig.config.trunks[0]!
  const travel = { local: rig.carrier.local, source: rig.trunkAt }
  let found = ''
  for (const [name, secret] of Object.entries(KEYS)) {
    const bytes = requestOf('OPTIONS', rig.carrier, { with: nextCall() })
    await rig.carrier.send(signedBytes(bytes, agreement, travel, parseKeyring(key('x', secret))), rig.trunkAt)
    await (wanted.includes(name) ? rig.upstream : rig.carrier).receive()
    if (rig.decisions.at(-1)?.verdict === 'accept') found += name
  }
  return found
}
