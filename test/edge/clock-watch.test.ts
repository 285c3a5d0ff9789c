import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CLOCK_WATCH_EVERY, watchClock } from '../../src/edge/clock-watch.ts'

function watched() {
  const steps: number[] = []
  const clock = { wall: 1_700_000_000_000, steady: 0 }
  const stop = watchClock((step) => steps.push(step), {
    wall: () => clock.wall,
    steady: () => clock.steady,
  })
  const pass = (wall: number, steady = CLOCK_WATCH_EVERY): void => {
    clock.wall += wall
    clock.steady += steady
    vi.advanceTimersByTime(CLOCK_WATCH_EVERY)
  }
  return { steps, pass, stop }
}

describe('the watch on the wall clock', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('tells steps forwards and backwards, once each', () => {
    const { steps, pass, stop } = watched()
    pass(1000)
    pass(3_601_000)
    pass(1000)
    pass(1000 - 7200_000)
    pass(1000)
    expect(steps).toEqual([3_600_000, -7_200_000])
    stop()
  })

  it('takes slewing, and a process that was held up, for no step', () => {
    const { steps, pass, stop } = watched()
    for (let i = 0; i < 5000; i++) pass(1001)
    pass(60_000, 60_000)
    expect(steps).toEqual([])
    stop()
  })

  it('ends', () => {
    const { steps, pass, stop } = watched()
    stop()
    pass(100_000)
    expect(steps).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})
