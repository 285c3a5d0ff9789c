import { describe, expect, it } from 'vitest'
import { createUserBudget } from '../../src/edge/user-budget.ts'

const taken = (take: () => boolean, tries: number): number =>
  Array.from({ length: tries }, take).filter(Boolean).length

describe('the budget of phones', () => {
  it('gives strangers half of it, and the rest to addresses of users', () => {
    const budget = createUserBudget(2000, () => 0)
    budget.note('192.0.2.1')
    expect(taken(() => budget.take('203.0.113.9'), 1000)).toBe(50)
    expect(taken(() => budget.take('192.0.2.1'), 1000)).toBe(50)
    expect(budget.take('192.0.2.1')).toBe(false)
  })

  it('fills again with time, up to a twentieth of a second', () => {
    let at = 0
    const budget = createUserBudget(2000, () => at)
    taken(() => budget.take('203.0.113.9'), 1000)
    at = 10
    expect(taken(() => budget.take('203.0.113.9'), 1000)).toBe(10)
    at = 60_000
    expect(taken(() => budget.take('203.0.113.9'), 1000)).toBe(50)
  })

  it('lets users have all of it where nobody else asks', () => {
    const budget = createUserBudget(2000, () => 0)
    budget.note('192.0.2.1')
    expect(taken(() => budget.take('192.0.2.1'), 1000)).toBe(100)
  })

  it('is one request at least', () => {
    const budget = createUserBudget(2, () => 0)
    expect(taken(() => budget.take('203.0.113.9'), 3)).toBe(1)
  })
})
