import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { INVITE_TIMES } from '../../src/pipeline/invite-table.ts'
import { answerTo, moved, requestOf, startRig, type Rig } from '../support/edge-rig.ts'
import { describePeers, freePorts } from '../support/peers.ts'
import { startChain } from './chain.ts'
import { headerOf } from './endpoint.ts'
import { stateful } from './kamailio-stateful.ts'
import { received } from './sipp-log.ts'
import { tell } from './sipp-told.ts'
import { startSipp } from './sipp.ts'

const MINUTE = 60_000

/** A request of the call that bears this name, as a stateful peer makes it: without a token. */
function unsigned(method: string, rig: Rig, call: string): Buffer {
  return requestOf(method, rig.carrier, {
    with: {
      Via: `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bK${call}`,
      'Call-ID': call,
      To: method === 'ACK' ? '<sip:bob@biloxi.example>;tag=answer' : '<sip:bob@biloxi.example>',
    },
  })
}

/** Places a call and has it answered with these statuses. */
async function place(rig: Rig, call: string, statuses: readonly string[]): Promise<Buffer> {
  await rig.carrier.send(rig.sign(unsigned('INVITE', rig, call)), rig.trunkAt)
  const { bytes } = await rig.upstream.receive()
  for (const status of statuses) {
    await rig.upstream.send(answerTo(bytes, status), rig.upstreamAt)
    await rig.carrier.receive()
  }
  return bytes
}

/** What becomes of a request without a token: what the upstream gets, or how it is answered. */
async function fate(rig: Rig, request: Buffer): Promise<string[]> {
  await rig.carrier.send(request, rig.trunkAt)
  const { carrier, upstream } = await rig.settle()
  return [
    ...upstream.map(({ message }) => `passed ${message.method}`),
    ...carrier.map(({ message }) => `answered ${message.status}`),
  ]
}

describe('an edge whose clock is moved', () => {
  // The edge's only clock; timers stay as they are.
  beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }))
  afterEach(() => vi.useRealTimers())

  it('passes the CANCEL of a phone that has rung for 4 minutes, with other calls coming and going', async () => {
    const rig = await startRig()
    await place(rig, 'rings', ['100 Trying', '180 Ringing'])
    for (let minute = 1; minute <= 4; minute++) {
      vi.advanceTimersByTime(MINUTE)
      await place(rig, `fails-${minute}`, ['180 Ringing', '486 Busy Here'])
      await place(rig, `is-answered-${minute}`, ['180 Ringing', '200 OK'])
      await place(rig, `gets-nothing-${minute}`, [])
    }
    expect(await fate(rig, unsigned('CANCEL', rig, 'rings'))).toEqual(['passed CANCEL'])
    expect(moved(rig.metrics.rejections)).toEqual({})
  })

  it('passes it where 180 comes again and again, and where the INVITE does', async () => {
    const rig = await startRig()
    const invite = await place(rig, 'rings', ['180 Ringing'])
    for (let minute = 1; minute <= 4; minute++) {
      vi.advanceTimersByTime(MINUTE)
      await rig.upstream.send(answerTo(invite, '180 Ringing'), rig.upstreamAt)
      await rig.carrier.send(rig.sign(unsigned('INVITE', rig, 'rings')), rig.trunkAt)
      await rig.settle()
    }
    expect(await fate(rig, unsigned('CANCEL', rig, 'rings'))).toEqual(['passed CANCEL'])
  })

  it.each<[string, readonly string[], number]>([
    ['no answer for Timer C', [], INVITE_TIMES.calling],
    ['nothing but 100 for Timer C', ['100 Trying'], INVITE_TIMES.calling],
    ['rung for two hours', ['180 Ringing'], INVITE_TIMES.ringing],
  ])(
    'passes the CANCEL of a call that has got %s up to then, and refuses it from then on',
    async (_what, statuses, time) => {
      const rig = await startRig()
      await place(rig, 'early', statuses)
      vi.advanceTimersByTime(time - 1)
      expect(await fate(rig, unsigned('CANCEL', rig, 'early'))).toEqual(['passed CANCEL'])
      vi.advanceTimersByTime(1)
      expect(await fate(rig, unsigned('CANCEL', rig, 'early'))).toEqual(['answered 403'])
    },
  )

  it('passes the ACK of a failure again and again for 64·T1, and drops it from then on', async () => {
    const rig = await startRig()
    await place(rig, 'fails', ['180 Ringing', '603 Decline'])
    expect(await fate(rig, unsigned('ACK', rig, 'fails'))).toEqual(['passed ACK'])
    vi.advanceTimersByTime(INVITE_TIMES.completed - 1)
    expect(await fate(rig, unsigned('ACK', rig, 'fails'))).toEqual(['passed ACK'])
    vi.advanceTimersByTime(1)
    expect(await fate(rig, unsigned('ACK', rig, 'fails'))).toEqual([])
  })
})

/** `npm run soak:ringing` makes it the 4 minutes that they are. */
const RINGING = Number(process.env['RINGING_SECONDS'] ?? 3)
const CALLS = 5

describePeers('phones that ring, behind a stateful kamailio', ['kamailio', 'sipp'], () => {
  it(
    `are cancelled after ${RINGING} s, by a CANCEL without a token`,
    async () => {
      const chain = await startChain((config) => stateful(config, RINGING + 60))
      const { places, edge } = chain
      const [port = 0] = await freePorts(1)
      const caller = { ...places.core, port }
      const run = { calls: CALLS, seconds: RINGING + 60, patience: RINGING + 30, keep: 'messages' } as const
      const answering = await startSipp({ ...run, scenario: 'mixedCallee', local: places.upstream })
      const list = 'SEQUENTIAL\nringing\n'
      const calling = await startSipp({
        ...run,
        scenario: 'ringingCaller',
        local: caller,
        to: places.kamailio,
        list,
      })
      const ringing = await received(calling, 'SIP/2.0 180', CALLS)
      await sleep(RINGING * 1000)
      for (const message of ringing) {
        await tell(caller, headerOf(message, 'Call-ID')!, headerOf(message, 'To')!)
      }
      for (const result of await Promise.all([calling.result, answering.result])) {
        if (result.code !== 0) throw new Error(result.output)
        expect(result).toMatchObject({ failed: 0, successful: CALLS })
      }
      const skipped = { direction: 'request', outcome: 'skipped' }
      // The CANCEL, and the ACK of the 487.
      expect(await edge.metric('xkeys_verifications_total', skipped)).toBeGreaterThanOrEqual(2 * CALLS)
      expect(await edge.metric('xkeys_dropped_total')).toBe(0)
    },
    (RINGING + 90) * 1000,
  )
})
