import { describe, expect, it } from 'vitest'
import type { EdgeEvent } from '../../src/edge/event.ts'
import { createRefusalSampler } from '../../src/edge/refusal-sampler.ts'
import { viewOf } from '../../src/message/view.ts'
import { bytesOf, contextOf } from '../support/messages.ts'

const refusal = (reason: string) => ({ verdict: 'reject', status: 403, reason, stage: 's' }) as const

describe('refusals in the log', () => {
  const context = contextOf(bytesOf({ add: [['X-Auth', 'the-token']] }))

  it('are one a second of each peer and reason, with how many were held back', () => {
    const events: EdgeEvent[] = []
    let now = 0
    const sample = createRefusalSampler(
      (event) => events.push(event),
      () => now,
    )
    const take = (peer: string, reason: string): void =>
      sample(refusal(reason), peer, viewOf(context.message), context)
    for (let i = 0; i < 1000; i++) take('a', 'token-mismatch')
    take('a', 'header-missing')
    take('b', 'token-mismatch')
    expect(events.map(({ peer, reason, held }) => [peer, reason, held])).toEqual([
      ['a', 'token-mismatch', undefined],
      ['a', 'header-missing', undefined],
      ['b', 'token-mismatch', undefined],
    ])
    now = 999
    take('a', 'token-mismatch')
    expect(events).toHaveLength(3)
    now = 1000
    take('a', 'token-mismatch')
    expect(events.at(-1)).toMatchObject({ event: 'refused', peer: 'a', held: 1000 })
    now = 2000
    take('a', 'token-mismatch')
    expect(events.at(-1)).not.toHaveProperty('held')
    expect(JSON.stringify(events)).not.toContain('the-token')
  })
})
