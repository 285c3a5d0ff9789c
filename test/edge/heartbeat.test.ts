import { expect, it, onTestFinished, vi } from 'vitest'
import { createHeartbeats } from '../../src/edge/heartbeat.ts'
import type { Heartbeat } from '../../src/keyring/keyring-store.ts'

const NOW = new Date('2026-11-21T12:00:00Z')

/** Heartbeats of a node whose store answers when it is told to. */
function node() {
  const sent: string[] = []
  const states: string[] = []
  let answer: { done(): void; fail(): void } | undefined
  let revision = 0
  const heartbeats = createHeartbeats({
    store: {
      beat({ report }) {
        sent.push(`${report.revision}${report.stopped === undefined ? '' : ' stopped'}`)
        return new Promise((done, refuse) => {
          answer = { done, fail: () => refuse(new Error('no')) }
        })
      },
    },
    tell: (end): Heartbeat => ({
      report: {
        node: 'n1',
        at: NOW,
        since: NOW,
        keys: [],
        groups: [],
        uses: [],
        revision: ++revision,
        ...(end && { stopped: NOW }),
      },
      keyring: 'aaaaaaaa',
      version: '1',
    }),
    onState: (state, reason) => states.push(`${state} ${reason}`),
  })
  const answered = async (how: 'done' | 'fail'): Promise<void> => {
    answer![how]()
    await new Promise(setImmediate)
  }
  return { heartbeats, sent, states, answered }
}

it('tells nothing before it begins, and then at once', () => {
  const { heartbeats, sent } = node()
  heartbeats.now()
  expect(sent).toEqual([])
  heartbeats.begin()
  expect(sent).toEqual(['1'])
})

it('has one under way, and another behind it where there is something new', async () => {
  const { heartbeats, sent, answered } = node()
  heartbeats.begin()
  heartbeats.now()
  heartbeats.now()
  expect(sent).toEqual(['1'])
  await answered('done')
  expect(sent).toEqual(['1', '2'])
  await answered('done')
  expect(sent).toEqual(['1', '2'])
})

it('says last that it has stopped, and no more after it', async () => {
  const { heartbeats, sent, answered } = node()
  heartbeats.begin()
  await answered('done')
  const closed = heartbeats.close()
  await new Promise(setImmediate)
  await answered('done')
  await closed
  heartbeats.now()
  expect(sent).toEqual(['1', '2 stopped'])
})

it('ends where the store does not answer at the end', async () => {
  const { heartbeats, answered } = node()
  heartbeats.begin()
  await answered('fail')
  const closed = heartbeats.close()
  await new Promise(setImmediate)
  await answered('fail')
  await expect(closed).resolves.toBeUndefined()
})

it('says once that several were lost, and once that one arrives again', async () => {
  const { heartbeats, states, answered } = node()
  heartbeats.begin()
  for (let i = 0; i < 5; i++) {
    await answered('fail')
    heartbeats.now()
  }
  expect(states).toEqual(['failed no'])
  await answered('done')
  heartbeats.now()
  await answered('done')
  expect(states).toEqual(['failed no', 'sent '])
})

it('goes on every two seconds', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const { heartbeats, sent, answered } = node()
  heartbeats.begin()
  await answered('done')
  vi.advanceTimersByTime(1999)
  expect(sent).toEqual(['1'])
  vi.advanceTimersByTime(1)
  expect(sent).toEqual(['1', '2'])
})
