import { describe, expect, it } from 'vitest'
import { createFailures, type FailureOptions, type Failures } from '../../src/digest/failures.ts'
import { errorOf } from '../keyring/error-of.ts'

function open(options: Partial<FailureOptions> = {}): {
  failures: Failures
  readonly pass: (ms: number) => void
} {
  let now = 1000
  const failures = createFailures({
    perSource: 3,
    perUser: 5,
    halfLife: 60_000,
    ban: 600_000,
    now: () => now,
    ...options,
  })
  return {
    failures,
    pass: (ms) => {
      now += ms
    },
  }
}
const fail = (failures: Failures, times: number, address = '192.0.2.1', user = 'alice'): readonly unknown[] =>
  Array.from({ length: times }, () => failures.fail(address, user))

describe('a ban by hand', () => {
  it('holds as one that was earned, but not for who is allowed', () => {
    let now = 0
    const failures = createFailures({
      ban: 1000,
      isAllowed: (address) => address === '192.0.2.9',
      now: () => now,
    })
    expect(failures.ban('192.0.2.1')).toBe('source')
    expect(failures.isBanned('192.0.2.1')).toBe(true)
    expect(failures.ban('192.0.2.9')).toBeUndefined()
    expect(failures.isBanned('192.0.2.9')).toBe(false)
    now = 1000
    expect(failures.isBanned('192.0.2.1')).toBe(false)
  })

  it('is not made for want of room', () => {
    const failures = createFailures({ capacity: 1, now: () => 0 })
    expect([failures.ban('192.0.2.1'), failures.ban('192.0.2.2')]).toEqual(['source', undefined])
    expect(failures.overflows).toBe(1)
  })
})

describe('a source', () => {
  it('is banned by its failures, and says so once', () => {
    const { failures } = open()
    expect(fail(failures, 2)).toEqual([undefined, undefined])
    expect(failures.isBanned('192.0.2.1')).toBe(false)
    expect(fail(failures, 1)).toEqual(['source'])
    expect(failures.isBanned('192.0.2.1')).toBe(true)
    expect(failures.isBanned('192.0.2.2')).toBe(false)
    expect(failures.banned).toBe(1)
  })

  it('is listened to again when the ban ends', () => {
    const { failures, pass } = open()
    fail(failures, 3)
    pass(599_999)
    expect(failures.isBanned('192.0.2.1')).toBe(true)
    pass(1)
    expect(failures.isBanned('192.0.2.1')).toBe(false)
    expect(failures.banned).toBe(0)
    expect(fail(failures, 1)).toEqual([undefined])
  })

  it('is not banned by failures that fade', () => {
    const { failures, pass } = open()
    for (let i = 0; i < 50; i++) {
      expect(fail(failures, 1, '192.0.2.1', `user-${i}`)).toEqual([undefined])
      pass(60_000)
    }
    expect(failures.isBanned('192.0.2.1')).toBe(false)
  })

  it('may be forgiven', () => {
    const { failures } = open()
    fail(failures, 3)
    expect(failures.forgive('192.0.2.1')).toBe(true)
    expect(failures.isBanned('192.0.2.1')).toBe(false)
    expect(failures.forgive('192.0.2.1')).toBe(false)
  })

  it('is never banned where it is allowed', () => {
    const { failures } = open({ isAllowed: (address) => address === '192.0.2.1', perUser: 1000 })
    fail(failures, 100)
    expect(failures.isBanned('192.0.2.1')).toBe(false)
    fail(failures, 3, '192.0.2.2')
    expect(failures.isBanned('192.0.2.2')).toBe(true)
  })

  it.each([
    ['2001:db8::1', '2001:db8:0:0:ffff::9', true],
    ['2001:db8:0:1::1', '2001:db8::1', false],
    ['2001:DB8::1', '2001:db8::2', true],
    ['fe80::1%eth0', 'fe80::2', true],
    ['::ffff:192.0.2.7', '192.0.2.7', true],
    ['::1', '::2', true],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::', true],
  ])('%s counts for %s: %s', (one, other, expected) => {
    const { failures } = open()
    fail(failures, 3, one)
    expect(failures.isBanned(other)).toBe(expected)
  })
})

const distributed = (failures: Failures, count: number): readonly unknown[] =>
  Array.from({ length: count }, (_, i) => failures.fail(`198.51.100.${i}`, 'alice'))

describe('a user', () => {
  it('is guarded against guesses from everywhere', () => {
    const { failures } = open()
    expect(distributed(failures, 5)).toEqual([undefined, undefined, undefined, undefined, 'user'])
    expect(failures.isUserBanned('203.0.113.1', 'alice')).toBe(true)
    expect(failures.isUserBanned('203.0.113.1', 'bob')).toBe(false)
    expect(failures.isBanned('203.0.113.1')).toBe(false)
  })

  it('is not locked out from where it was before', () => {
    const { failures } = open()
    failures.succeed('192.0.2.1', 'alice')
    distributed(failures, 5)
    expect(failures.isUserBanned('192.0.2.1', 'alice')).toBe(false)
    expect(failures.isUserBanned('192.0.2.2', 'alice')).toBe(true)
  })

  it('is free again when the ban ends', () => {
    const { failures, pass } = open()
    distributed(failures, 5)
    pass(600_000)
    expect(failures.isUserBanned('203.0.113.1', 'alice')).toBe(false)
  })
})

describe('room', () => {
  it('is bounded, whatever comes, and no ban is given up for another', () => {
    const { failures } = open({ capacity: 10, perSource: 1, perUser: 1000 })
    for (let i = 0; i < 100; i++) failures.fail(`10.0.${i}.1`, 'alice')
    expect(failures.banned).toBe(10)
    expect(failures.overflows).toBe(90)
    expect(failures.isBanned('10.0.0.1')).toBe(true)
    expect(failures.isBanned('10.0.99.1')).toBe(false)
  })

  it('comes back when bans end', () => {
    const { failures, pass } = open({ capacity: 2, perSource: 1, perUser: 1000 })
    fail(failures, 1, '10.0.0.1')
    fail(failures, 1, '10.0.0.2')
    pass(600_000)
    expect(fail(failures, 1, '10.0.0.3')).toEqual(['source'])
  })
})

describe('options', () => {
  it('are refused all at once', () => {
    const error = errorOf(() => open({ perSource: 0, halfLife: NaN, capacity: 1.5 }))
    expect(error.issues.map(({ path }) => path)).toEqual(['perSource', 'halfLife', 'capacity'])
  })
})
