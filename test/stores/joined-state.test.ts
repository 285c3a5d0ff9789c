import { expect, it } from 'vitest'
import { joinStates } from '../../src/stores/joined-state.ts'

it('two states are one: each failure is told, and once that both work', () => {
  const told: string[] = []
  const [one, other] = joinStates((state, code) => void told.push(`${state} ${code}`))
  one('up', 'x')
  one('down', 'a')
  one('down', 'b')
  other('down', 'c')
  one('up', 'd')
  other('up', 'e')
  other('up', 'f')
  expect(told).toEqual(['down a', 'down c', 'up e'])
})
