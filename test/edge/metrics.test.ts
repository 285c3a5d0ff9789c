import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { answerTo, moved, requestOf, startRig, type Rig } from '../support/edge-rig.ts'
import { parseExposition } from '../support/exposition.ts'
import { bytesOf } from '../support/messages.ts'
import { forged, SECRETS } from '../support/signed-messages.ts'
import { VERIFY_FAILURES } from '../../src/xkeys/verify.ts'

const scrape = (rig: Rig): Promise<string> => rig.metrics.registry.metrics()
const seriesOf = (text: string): readonly string[] =>
  [...parseExposition(text).values()].flatMap(({ samples }) =>
    samples.map(({ name, labels }) => `${name}${JSON.stringify(labels)}`),
  )

const random = (): string => randomBytes(5).toString('hex')

describe('the counters of an edge', () => {
  it('all begin at 0, for every peer, key, reason and direction that can move', async () => {
    const rig = await startRig()
    const before = await scrape(rig)
    const counters = [...parseExposition(before).values()].filter(({ type }) => type === 'counter')
    expect(counters.flatMap(({ samples }) => samples).filter(({ value }) => value !== 0)).toEqual([])
    expect(counters.filter(({ samples }) => samples.length === 0).map(({ name }) => name)).toEqual([])

    // One of everything: no series is born by it.
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier)), rig.trunkAt)
    await rig.upstream.send(answerTo((await rig.upstream.receive()).bytes, '200 OK'), rig.upstreamAt)
    await rig.carrier.receive()
    await rig.upstream.send(requestOf('INVITE', rig.upstream), rig.upstreamAt)
    const { bytes } = await rig.carrier.receive()
    await rig.carrier.send(rig.sign(answerTo(bytes, '200 OK')), rig.trunkAt)
    await rig.carrier.send(answerTo(bytes, '100 Trying'), rig.trunkAt)
    await rig.carrier.send(forged(rig.sign(requestOf('OPTIONS', rig.carrier))), rig.trunkAt)
    await rig.second.send(requestOf('OPTIONS', rig.second), rig.trunkAt)
    await rig.carrier.send(Buffer.from('noise'), rig.trunkAt)
    await rig.upstream.send(bytesOf({ start: 'SIP/2.0 200 OK' }), rig.upstreamAt)
    await rig.settle()
    const after = await scrape(rig)
    expect(seriesOf(after)).toEqual(seriesOf(before))
    expect(Object.keys(moved(rig.metrics.verifications)).toSorted()).toEqual([
      'carrier,trunk-a,request,accept',
      'carrier,trunk-a,request,reject',
      'carrier,trunk-a,response,accept',
      'carrier,trunk-a,response,skipped',
    ])
  })

  it('have exactly the words of VERIFY_FAILURES as reasons', async () => {
    const rig = await startRig()
    const reasons = [...rig.metrics.rejections.entries()].map(({ labels }) => labels.reason)
    expect(reasons.toSorted()).toEqual([...VERIFY_FAILURES].toSorted())
  })

  it('do not grow with 10 000 random callers, methods and branches', async () => {
    const rig = await startRig({ carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"' })
    const before = seriesOf(await scrape(rig))
    for (let i = 0; i < 10_000; i++) {
      const method = i % 2 === 0 ? random().toUpperCase() : 'OPTIONS'
      const bytes = bytesOf({
        start:
          i % 5 === 0
            ? `SIP/2.0 ${100 + (i % 600)} ${random()}`
            : `${method} sip:${random()}@${random()} SIP/2.0`,
        with: {
          Via: `SIP/2.0/UDP ${random()};branch=z9hG4bK${random()}`,
          From: `<sip:${random()}@${random()}>;tag=${random()}`,
          'Call-ID': random(),
          CSeq: `${i} ${method}`,
        },
        add: [
          ['X-Auth', random()],
          [`X-${random()}`, random()],
        ],
      })
      const cut = i % 3 === 0 ? bytes.subarray(0, i % bytes.length) : bytes
      const to = i % 7 === 0 ? rig.upstreamAt : rig.trunkAt
      await (i % 4 === 0 ? rig.second : rig.carrier).send(cut, to)
      // Sockets hold a few hundred messages: do not outrun the edge.
      if (i % 100 === 99) await rig.settle()
    }
    await rig.settle()
    const after = await scrape(rig)
    expect(seriesOf(after)).toEqual(before)
    expect(moved(rig.metrics.rejections)['carrier,trunk-a,token-malformed']).toBeGreaterThan(1000)
    expect(after).not.toMatch(/127\.0\.0\.1|sip:/)
  })

  it('T20: hold no secret and no token, in plain, hex or base64', async () => {
    const rig = await startRig()
    const signed = rig.sign(requestOf('INVITE', rig.carrier))
    await rig.carrier.send(signed, rig.trunkAt)
    await rig.carrier.send(forged(signed), rig.trunkAt)
    await rig.settle()
    const token = /X-Auth: (\w+)/.exec(signed.toString('latin1'))![1]!
    const told = [await scrape(rig), JSON.stringify(rig.events), JSON.stringify(rig.decisions)]
      .join('\n')
      .toLowerCase()
    for (const secret of [...Object.values(SECRETS), token]) {
      const bytes = Buffer.from(secret)
      for (const form of [
        secret,
        bytes.toString('hex'),
        bytes.toString('base64url'),
        bytes.toString('base64'),
      ]) {
        expect(told).not.toContain(form.toLowerCase())
        expect(told).not.toContain(form.slice(4, 24).toLowerCase())
      }
    }
  })
})
