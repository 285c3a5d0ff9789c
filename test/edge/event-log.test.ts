import { pino } from 'pino'
import { expect, it } from 'vitest'
import type { EdgeEvent } from '../../src/edge/event.ts'
import { createEventLog } from '../../src/edge/service.ts'

it('logs one line a second of each kind of trouble, with how many were held back', () => {
  const lines: { event?: string; side?: string; held?: number; level?: number }[] = []
  const log = pino({ level: 'debug', base: null }, { write: (line) => void lines.push(JSON.parse(line)) })
  let now = 0
  const take = createEventLog(log, () => now)
  const trouble: EdgeEvent = { event: 'socket-error', side: 'upstream', reason: 'refused' }
  for (let i = 0; i < 100; i++) take(trouble)
  take({ ...trouble, side: 'trunk' })
  expect(lines.map(({ side }) => side)).toEqual(['upstream', 'trunk'])
  now = 1000
  take(trouble)
  expect(lines.at(-1)).toMatchObject({ event: 'socket-error', side: 'upstream', held: 99 })
  take({ event: 'dropped', side: 'trunk', reason: 'source-unknown' })
  take({ event: 'dropped', side: 'trunk', reason: 'source-unknown' })
  expect(lines.filter(({ level }) => level === 20)).toHaveLength(2)
})
