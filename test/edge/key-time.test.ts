import { expect, it } from 'vitest'
import { createKeyTime } from '../../src/edge/key-time.ts'

it('the time of keys goes with the wall clock, and never back', () => {
  let wall = 1000
  const time = createKeyTime(() => wall)
  const shown = [1000, 1001, 5000, 4000, 0, NaN, 4999, 5000, 5001].map((now) => {
    wall = now
    return time().getTime()
  })
  expect(shown).toEqual([1000, 1001, 5000, 5000, 5000, 5000, 5000, 5000, 5001])
})
