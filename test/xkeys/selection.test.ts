import { describe, expect, it } from 'vitest'
import { DATA_START, createWorkBuffer } from '../../src/xkeys/algorithm.ts'
import { selectKeys } from '../../src/xkeys/selection.ts'
import { NOON, agree, later, ringOf } from '../support/parties.ts'

const agreement = agree({ algorithm: 'sha256' })
const leftovers = (work: ReturnType<typeof createWorkBuffer>): string =>
  work.bytes.toString('latin1', 0, DATA_START)

describe('the keys that count now', () => {
  it('are the same object until the state of one changes', () => {
    let now = NOON
    const ring = ringOf([
      { name: 'a', secret: 'a', expires: later(1000) },
      { name: 'b', secret: 'b' },
    ])
    const select = selectKeys({ agreement, keyring: ring, now: () => now }, createWorkBuffer(100), 'verify')
    const first = select()
    expect(first.verifying.map(({ ref, state }) => [ref.name, state])).toEqual([
      ['b', 'active'],
      ['a', 'overlapping'],
    ])
    now = later(999)
    expect(select()).toBe(first)
    now = later(1000)
    expect(select().verifying.map(({ ref }) => ref.name)).toEqual(['b'])
  })

  it('only those of the use are bound', () => {
    const ring = ringOf(['a', 'b'])
    const bound = (use: 'sign' | 'verify') =>
      selectKeys({ agreement, keyring: ring, now: () => NOON }, createWorkBuffer(100), use)()
    expect([bound('sign').signing?.ref.name, bound('sign').verifying.length]).toEqual(['b', 0])
    expect([bound('verify').signing, bound('verify').verifying.length]).toEqual([undefined, 2])
  })

  it('T37: a secret leaves no trace in the work buffer once its key is gone', () => {
    let ring = ringOf(['a-long-forgotten-secret'])
    const work = createWorkBuffer(100)
    const select = selectKeys({ agreement, keyring: () => ring, now: () => NOON }, work, 'verify')
    select().verifying[0]!.hash(work, DATA_START, 'hex')
    expect(leftovers(work)).toContain('a-long-forgotten-secret')
    ring = ringOf(['b'])
    select()
    expect(leftovers(work)).toBe('\0'.repeat(DATA_START))
  })
})
