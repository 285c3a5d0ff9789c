import { describe, expect, it } from 'vitest'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { editHeaders } from '../../src/message/edit.ts'
import { VERIFY_FAILURES, type VerifyFailure } from '../../src/xkeys/verify.ts'
import { moved, requestOf, startRig, type Rig, type RigOptions } from '../support/edge-rig.ts'
import { forged, SECRETS } from '../support/signed-messages.ts'

const token = '0'.repeat(64)
const withToken = (bytes: Buffer, ...values: readonly string[]): Buffer =>
  editHeaders(bytes, { add: values.map((value) => ['X-Auth', value] as const) })

interface Refusal {
  readonly options?: RigOptions
  /** The refused request. */
  readonly bytes: (rig: Rig) => Buffer
}

const ended = createKeyring([
  ['trunk-a', [createKey({ name: 'ended', secret: SECRETS.new, expires: new Date('2020-01-01T00:00:00Z') })]],
])

/** One refusal of each reason; `message-unparsable` cannot come from the strict parser. */
const REFUSALS: Readonly<Partial<Record<VerifyFailure, Refusal>>> = {
  'header-missing': { bytes: (rig) => requestOf('INVITE', rig.carrier) },
  'header-repeated': { bytes: (rig) => withToken(rig.sign(requestOf('INVITE', rig.carrier)), token) },
  'token-malformed': { bytes: (rig) => withToken(requestOf('INVITE', rig.carrier), 'zz') },
  'token-mismatch': { bytes: (rig) => forged(rig.sign(requestOf('INVITE', rig.carrier))) },
  'group-unknown': {
    options: { keyring: createKeyring([]) },
    bytes: (rig) => withToken(requestOf('INVITE', rig.carrier), token),
  },
  'no-usable-key': {
    options: { keyring: ended },
    bytes: (rig) => withToken(requestOf('INVITE', rig.carrier), token),
  },
  'variable-missing': {
    bytes: (rig) => withToken(requestOf('INVITE', rig.carrier, { with: { From: ';' } }), token),
  },
  'data-too-long': {
    options: { agreement: 'max_data = 64' },
    bytes: (rig) => withToken(requestOf('INVITE', rig.carrier), token),
  },
}

const asAck = (text: string): string => text.replace(/^INVITE/, 'ACK').replace('314159 INVITE', '314159 ACK')

describe('a request that is refused', () => {
  it.each(Object.entries(REFUSALS))('%s: 403, once counted, nothing goes on', async (reason, refusal) => {
    const rig = await startRig(refusal.options)
    await rig.carrier.send(refusal.bytes(rig), rig.trunkAt)
    const { message, text } = await rig.carrier.receive()
    expect(message.status).toBe(403)
    expect(message.headers('Via')[0]).toMatch(
      new RegExp(`;received=127\\.0\\.0\\.1;rport=${rig.carrier.local.port}$`),
    )
    expect(message.headers('X-Auth')).toEqual([])
    expect(text).not.toContain(reason)
    expect(moved(rig.metrics.rejections)).toEqual({ [`carrier,trunk-a,${reason}`]: 1 })
    expect(moved(rig.metrics.verifications)).toEqual({ 'carrier,trunk-a,request,reject': 1 })
    expect(moved(rig.metrics.keyVerifications)).toEqual({})
    expect(moved(rig.metrics.signatures)).toEqual({})
    expect(rig.decisions).toMatchObject([{ verdict: 'reject', reason }])
  })

  it('direction-unsigned: 403, where the agreement has no template for requests', async () => {
    const more = `
      [agreements.answers]
      header = "X-Answer"
      group = "trunk-a"
      algorithm = "sha256"
      response = "$rs:$ci"
      [trunks.answers]
      agreement = "answers"
      sources = ["{second}"]
      target = "{second}"`
    const rig = await startRig({ more })
    await rig.second.send(requestOf('INVITE', rig.second), rig.trunkAt)
    expect((await rig.second.receive()).message.status).toBe(403)
    expect(moved(rig.metrics.rejections)).toEqual({ 'answers,trunk-a,direction-unsigned': 1 })
  })

  it('field-illegal: 403, where a sha form would hash a NUL', async () => {
    const more = `
      [agreements.prefix]
      header = "X-Prefix"
      group = "trunk-a"
      algorithm = "sha256"
      request = "$ci:$rb"
      [trunks.prefix]
      agreement = "prefix"
      sources = ["{second}"]
      target = "{second}"`
    const rig = await startRig({ more })
    const bytes = requestOf('MESSAGE', rig.second, { add: [['X-Prefix', token]], body: 'a\0b' })
    await rig.second.send(bytes, rig.trunkAt)
    expect((await rig.second.receive()).message.status).toBe(403)
    expect(moved(rig.metrics.rejections)).toEqual({ 'prefix,trunk-a,field-illegal': 1 })
  })

  it('has every reason tried here', () => {
    const tried = [...Object.keys(REFUSALS), 'direction-unsigned', 'field-illegal', 'message-unparsable']
    expect(tried.toSorted()).toEqual([...VERIFY_FAILURES].toSorted())
  })

  it.each(Object.entries(REFUSALS))('as an ACK, %s: silence, once counted', async (reason, refusal) => {
    const rig = await startRig(refusal.options)
    const bytes = Buffer.from(asAck(refusal.bytes(rig).toString('latin1')), 'latin1')
    await rig.carrier.send(bytes, rig.trunkAt)
    // An OPTIONS without a token is answered behind it; only that answer comes.
    await rig.carrier.send(requestOf('OPTIONS', rig.carrier), rig.trunkAt)
    expect((await rig.carrier.receive()).message.method).toBe('OPTIONS')
    // With the sign over another method an ACK is no longer its INVITE: its own reason may differ.
    expect(rig.decisions[0]).toMatchObject({ method: 'ACK', verdict: 'drop', reason })
    expect(moved(rig.metrics.verifications)).toEqual({ 'carrier,trunk-a,request,reject': 2 })
  })

  it('as a CANCEL: 403, never a challenge', async () => {
    const rig = await startRig()
    await rig.carrier.send(requestOf('CANCEL', rig.carrier), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(403)
  })

  it('gets the same To tag when it is sent again', async () => {
    const rig = await startRig()
    const answers: string[] = []
    for (let i = 0; i < 2; i++) {
      await rig.carrier.send(requestOf('INVITE', rig.carrier), rig.trunkAt)
      answers.push((await rig.carrier.receive()).text)
    }
    expect(answers[1]).toBe(answers[0])
  })

  it('from an unknown source is dropped, counted and told, whatever it is', async () => {
    const rig = await startRig()
    const options = requestOf('OPTIONS', rig.second)
    for (const bytes of [options, rig.sign(options, rig.second), requestOf('ACK', rig.second)]) {
      await rig.second.send(bytes, rig.trunkAt)
    }
    const { carrier, upstream } = await rig.settle()
    expect([...carrier, ...upstream]).toEqual([])
    expect(moved(rig.metrics.dropped)).toEqual({ 'source-unknown': 3 })
    const event = { event: 'dropped', side: 'trunk', reason: 'source-unknown', source: rig.second.local }
    expect(rig.events).toEqual([event, event, event])
    // The first datagram that the stranger ever gets is none of the edge.
    await rig.carrier.send(Buffer.from('end'), rig.second.local)
    expect((await rig.second.receive()).text).toBe('end')
  })
})

describe('a datagram that is no message', () => {
  it.each([
    ['content-length-exceeds', '9999', 400],
    ['content-length-malformed', 'abc', 400],
  ])('%s: counted, and answered where it came from a trunk', async (kind, length, status) => {
    const rig = await startRig()
    const bytes = requestOf('INVITE', rig.carrier, { add: [['Content-Length', length]] })
    await rig.carrier.send(bytes, rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(status)
    await rig.second.send(bytes, rig.trunkAt)
    await rig.settle()
    await rig.carrier.send(Buffer.from('end'), rig.second.local)
    expect((await rig.second.receive()).text).toBe('end')
    expect(moved(rig.metrics.parseErrors)).toEqual({ [kind]: 2 })
    expect(moved(rig.metrics.verifications)).toEqual({ 'carrier,trunk-a,request,accept': 2 })
  })

  it.each(['\r\n', '\r\n\r\n', ''])('keep-alive %j is neither answered nor counted', async (text) => {
    const rig = await startRig()
    await rig.carrier.send(Buffer.from(text), rig.trunkAt)
    await rig.upstream.send(Buffer.from(text), rig.upstreamAt)
    const { carrier, upstream } = await rig.settle()
    expect([...carrier, ...upstream]).toEqual([])
    expect(moved(rig.metrics.parseErrors)).toEqual({})
    expect(moved(rig.metrics.dropped)).toEqual({})
  })
})
