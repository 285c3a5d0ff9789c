import { expect, it } from 'vitest'
import { createLimiter } from '../../src/transport/limiter.ts'

it('allows a burst, then the rate, each source for itself', () => {
  const may = createLimiter(10)
  const burst = Array.from({ length: 15 }, () => may('192.0.2.1', 0))
  expect(burst.filter(Boolean)).toHaveLength(10)
  expect(may('192.0.2.2', 0)).toBe(true)
  expect(may('192.0.2.1', 99)).toBe(false)
  expect(may('192.0.2.1', 101)).toBe(true)
  expect(may('192.0.2.1', 102)).toBe(false)
})

it('does not save up more than a second', () => {
  const may = createLimiter(10)
  may('192.0.2.1', 0)
  const later = Array.from({ length: 30 }, () => may('192.0.2.1', 3_600_000))
  expect(later.filter(Boolean)).toHaveLength(10)
})
