import { expect, it } from 'vitest'
import { createInbound, type Arrival, type InboundOptions } from '../../src/adapters/sip-inbound.ts'
import { LONGEST_WAIT, createWaiting } from '../../src/adapters/sip-waiting.ts'
import type { Decision } from '../../src/pipeline/stage.ts'
import { bytesOf, parsed } from '../support/messages.ts'

it('one source takes a quarter of the room, and what left makes room again', () => {
  const waiting = createWaiting(8)
  const enter = (source: string) => waiting.enter(source, 0, () => {})
  const [first, second, third] = [enter('a'), enter('a'), enter('a')]
  expect([first !== undefined, second !== undefined, third]).toEqual([true, true, undefined])
  for (const source of ['b', 'c', 'd']) for (let i = 0; i < 2; i++) expect(enter(source)).toBeDefined()
  expect(enter('e')).toBeUndefined()
  expect([first!(), first!()]).toEqual([true, false])
  expect(enter('e')).toBeDefined()
})

it('what waits too long is told once, and is not waited for any more', () => {
  const expired: string[] = []
  const waiting = createWaiting(1)
  const leave = waiting.enter('a', 1000, () => expired.push('a'))!
  waiting.sweep(1000 + LONGEST_WAIT - 1)
  expect(expired).toEqual([])
  waiting.sweep(1000 + LONGEST_WAIT)
  waiting.sweep(1e9)
  expect([expired, leave()]).toEqual([['a'], false])
  expect(waiting.enter('a', 0, () => {})).toBeDefined()
})

/** A way in whose stage decides when it is told to. */
function slow() {
  const answers: number[] = []
  const decisions: string[] = []
  const calls: string[] = []
  let closed = false
  let decide: ((decision: Decision) => void) | undefined
  const inbound = createInbound({
    pipeline: { decide: () => new Promise<Decision>((resolve) => (decide = resolve)) },
    limits: { decisions: 10 },
    transactions: {
      server: () => undefined,
      openServer: () => ({}),
    },
    mayRefuse: () => true,
    secret: '',
    now: () => 0,
    closed: () => closed,
    onDecision: ({ decision }: { decision: Decision }) =>
      decisions.push('reason' in decision ? decision.reason : decision.verdict),
    onRequest: ({ method }: { method: string }) => calls.push(method),
  } as unknown as InboundOptions)
  const endpoint = { address: '192.0.2.1', port: 5060 }
  const arrival = {
    from: { transport: 'udp', source: endpoint, local: endpoint },
    answer: (bytes: Buffer) => answers.push(parsed(bytes).status!),
    reply: () => ({ release() {} }),
    close() {},
  } as unknown as Arrival
  return {
    inbound,
    answers,
    decisions,
    calls,
    receive: (method: string) =>
      inbound.receive(
        bytesOf({ start: `${method} sip:a@b SIP/2.0`, with: { CSeq: `1 ${method}` } }),
        arrival,
      ),
    close: () => (closed = true),
    async decide() {
      const identity = { kind: 'unsigned', peer: 'p' } as const
      decide?.({ verdict: 'accept', identity, remove: [], stage: 's' })
      await new Promise(setImmediate)
    },
  }
}

it('M8 a stage that hangs costs a 503, and what it says later is not listened to', async () => {
  const rig = slow()
  rig.receive('OPTIONS')
  rig.inbound.sweep(LONGEST_WAIT)
  await rig.decide()
  expect([rig.answers, rig.decisions, rig.calls]).toEqual([[503], ['decided-too-late'], []])
})

it('a stage that is in time is listened to', async () => {
  const rig = slow()
  rig.receive('OPTIONS')
  await rig.decide()
  rig.inbound.sweep(1e9)
  expect([rig.answers, rig.decisions, rig.calls]).toEqual([[], ['accept'], ['OPTIONS']])
})

it('L3 what a stage says once the stack is destroyed reaches nobody', async () => {
  const rig = slow()
  rig.receive('OPTIONS')
  rig.close()
  await rig.decide()
  expect([rig.answers, rig.decisions, rig.calls]).toEqual([[], [], []])
})
