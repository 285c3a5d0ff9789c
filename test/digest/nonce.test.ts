import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DIGEST_SPECS, type DigestAlgorithm, type Qop } from '../../src/digest/algorithm.ts'
import { createNonces, type NonceOptions, type NonceOrigin, type Nonces } from '../../src/digest/nonce.ts'
import { createSteadyClock } from '../../src/digest/steady-clock.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { errorOf } from '../keyring/error-of.ts'
import { SECRETS } from '../support/signed-messages.ts'

const START = Date.parse('2026-11-21T12:00:00Z')
const old = createKey({ name: 'old', secret: SECRETS.old })
const next = createKey({ name: 'next', secret: SECRETS.new, activeFrom: new Date(START + 60_000) })
const ring = (...keys: readonly ReturnType<typeof createKey>[]): Keyring => createKeyring([['nonces', keys]])

const origin: NonceOrigin = {
  realm: 'example.org',
  source: '192.0.2.1',
  callId: 'call',
  fromTag: 'tag',
  scope: 'register',
}

function open(options: Partial<NonceOptions> = {}, at: () => number = () => START): Nonces {
  return createNonces({ keyring: ring(old), group: 'nonces', time: at, ...options })
}
function made(
  nonces: Nonces = open(),
  algorithm: DigestAlgorithm = 'SHA-256',
  qop: readonly Qop[] = ['auth'],
): string {
  const nonce = nonces.make(algorithm, qop, origin)
  if (nonce === undefined) throw new Error('no key')
  return nonce
}
/** `fresh`, `stale`, or why it is none of ours. */
function ask(nonces: Nonces, nonce: string, from: NonceOrigin = origin): string {
  const result = nonces.check(nonce, from)
  return result.ok ? result.age : result.reason
}

describe('a nonce', () => {
  it('is 48 characters of base64url', () => {
    expect(made()).toMatch(/^[A-Za-z0-9_-]{48}$/)
  })

  it('is never the same twice', () => {
    const nonces = open()
    expect(new Set(Array.from({ length: 1000 }, () => made(nonces))).size).toBe(1000)
  })

  it.each(DIGEST_SPECS.map(({ name }) => name))('tells what it was given out for: %s', (algorithm) => {
    for (const qop of [[], ['auth'], ['auth-int'], ['auth', 'auth-int']] as const) {
      const nonces = open()
      expect(nonces.check(made(nonces, algorithm, qop), origin)).toEqual({
        ok: true,
        facts: { algorithm, qop, made: START },
        age: 'fresh',
      })
    }
  })

  it.each([
    ['empty', ''],
    ['short', 'abc'],
    ['too long', 'A'.repeat(49)],
    ['of other characters', '+'.repeat(48)],
    ['of an algorithm that is none', Buffer.alloc(36, 7).toString('base64url')],
  ])('that is %s is malformed', (_, nonce) => {
    expect(ask(open(), nonce)).toBe('malformed')
  })

  it.each([
    ['made up', Buffer.alloc(36, 1).toString('base64url')],
    ['another server’s', made(open({ keyring: ring(createKey({ name: 'x', secret: SECRETS.other })) }))],
  ])('that is %s is foreign', (_, nonce) => {
    expect(ask(open(), nonce)).toBe('foreign')
  })

  it('cannot be changed in any bit', () => {
    const nonces = open()
    const bytes = Buffer.from(made(nonces), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(nonces.check(changed.toString('base64url'), origin).ok).toBe(false)
    }
  })

  it('never makes its check throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (nonce) => {
        expect(open().check(nonce, origin).ok).toBe(false)
      }),
    )
  })
})

describe('N6: binding by scope', () => {
  const nonces = open({ bind: { register: ['source'], dialog: ['call-id', 'from-tag'] } })
  const make = (scope: NonceOrigin['scope']): string => nonces.make('MD5', [], { ...origin, scope })!
  const changed = (nonce: string): readonly string[] =>
    (['source', 'callId', 'fromTag'] as const).map((part) => ask(nonces, nonce, { ...origin, [part]: 'x' }))

  it.each([
    ['register', ['foreign', 'fresh', 'fresh']],
    ['initial', ['fresh', 'fresh', 'fresh']],
    ['dialog', ['fresh', 'foreign', 'foreign']],
  ] as const)('of %s', (scope, expected) => {
    expect(changed(make(scope))).toEqual(expected)
  })

  it('is told by the nonce, in whatever scope it comes back: an ACK repeats what its INVITE had', () => {
    expect(ask(nonces, make('initial'), { ...origin, scope: 'dialog', callId: 'x' })).toBe('fresh')
    expect(ask(nonces, make('dialog'), { ...origin, scope: 'initial' })).toBe('fresh')
  })
})

describe('binding', () => {
  const elsewhere = { ...origin, source: '192.0.2.9' }
  const otherCall = { ...origin, callId: 'another' }
  it.each([
    ['nothing', [], 'fresh', 'fresh'],
    ['the source', ['source'], 'foreign', 'fresh'],
    ['the Call-ID', ['call-id'], 'fresh', 'foreign'],
    ['both', ['source', 'call-id'], 'foreign', 'foreign'],
  ] as const)('to %s', (_, bind, fromElsewhere, inOtherCall) => {
    const nonces = open({ bind })
    const nonce = made(nonces)
    expect(ask(nonces, nonce)).toBe('fresh')
    expect(ask(nonces, nonce, elsewhere)).toBe(fromElsewhere)
    expect(ask(nonces, nonce, otherCall)).toBe(inOtherCall)
  })

  it('is always to the realm', () => {
    expect(ask(open(), made(), { ...origin, realm: 'example.com' })).toBe('foreign')
  })

  it('keeps its parts apart', () => {
    const nonces = open({ bind: ['source', 'call-id'] })
    const nonce = nonces.make('MD5', [], { ...origin, realm: 'a', source: 'bc', callId: 'd' })!
    expect(ask(nonces, nonce, { ...origin, realm: 'a', source: 'b', callId: 'cd' })).toBe('foreign')
    expect(ask(nonces, nonce, { ...origin, realm: 'ab', source: 'c', callId: 'd' })).toBe('foreign')
  })

  it('is read from the nonce: a change of the setting spoils none that are out', () => {
    expect(ask(open({ bind: ['source'] }), made(open()))).toBe('fresh')
    expect(ask(open(), made(open({ bind: ['source'] })), elsewhere)).toBe('foreign')
  })
})

describe('age', () => {
  it.each([
    [-3001, 'stale'],
    [-3000, 'fresh'],
    [0, 'fresh'],
    [299_999, 'fresh'],
    [300_000, 'stale'],
    [86_400_000, 'stale'],
  ])('%i ms after it was made: %s', (ms, expected) => {
    expect(
      ask(
        open({}, () => START + ms),
        made(),
      ),
    ).toBe(expected)
  })

  it('has a limit of the operator’s', () => {
    expect(
      ask(
        open({ lifetime: 1000 }, () => START + 1000),
        made(),
      ),
    ).toBe('stale')
    expect(
      ask(
        open({ maxDrift: 0 }, () => START - 1),
        made(),
      ),
    ).toBe('stale')
  })
})

describe('nodes and rotation', () => {
  it('two nodes with one keyring take each other’s nonces', () => {
    const [a, b] = [open(), open({ keyring: () => ring(old) })]
    expect(ask(b, made(a))).toBe('fresh')
    expect(ask(a, made(b))).toBe('fresh')
  })

  it('a node that is restarted takes its own', () => {
    const nonce = made()
    expect(ask(open(), nonce)).toBe('fresh')
  })

  it('nonces stay valid while keys rotate, in whatever order nodes learn of it', () => {
    let now = START
    const rings = [ring(old), ring(old, next), ring(next)]
    const at = (i: number): Nonces => open({ keyring: rings[i]! }, () => now)
    // The next key is known, and signs nothing yet.
    expect(ask(at(0), made(at(1)))).toBe('fresh')
    const before = made(at(0))
    now += 61_000
    // It signs, and whoever has it takes both.
    expect(ask(at(1), before)).toBe('fresh')
    expect(ask(at(1), made(at(1)))).toBe('fresh')
    expect(ask(at(2), made(at(1)))).toBe('fresh')
    expect(ask(at(1), made(at(2)))).toBe('fresh')
    // The old one is gone: what it proved is foreign, and is told so as stale.
    expect(ask(at(2), before)).toBe('foreign')
  })

  it('a keyring is exchanged under load', () => {
    let current = ring(old)
    const nonces = open({ keyring: () => current })
    const before = made(nonces)
    current = ring(old, createKey({ name: 'newer', secret: SECRETS.new }))
    expect(ask(nonces, before)).toBe('fresh')
    expect(ask(open(), made(nonces))).toBe('foreign')
  })

  it('a revoked key ends its nonces at once', () => {
    let current = ring(old)
    const nonces = open({ keyring: () => current })
    const before = made(nonces)
    current = ring(createKey({ name: 'old', secret: SECRETS.old, revoked: new Date(START) }), next)
    expect(ask(nonces, before)).toBe('foreign')
  })

  it('none is made where no key signs', () => {
    expect(open({ keyring: ring(next) }).make('MD5', [], origin)).toBeUndefined()
    expect(open({ keyring: ring(next) }, () => START + 60_000).make('MD5', [], origin)).toBeDefined()
  })
})

describe('options', () => {
  it('are refused all at once', () => {
    const error = errorOf(() => open({ group: 'nothing', lifetime: -1, maxDrift: NaN }))
    expect(error.code).toBe('ERR_PIPELINE_INVALID')
    expect(error.issues.map(({ path }) => path)).toEqual(['lifetime', 'maxDrift', 'group'])
  })
})

/** A wall clock and a monotonic one, to be moved by hand. */
function clocks() {
  let wall = START
  let tick = 0
  const time = createSteadyClock(
    () => new Date(wall),
    () => tick,
  )
  return {
    time,
    pass: (ms: number) => {
      wall += ms
      tick += ms
    },
    step: (ms: number) => {
      wall += ms
    },
    stop: () => {
      wall = NaN
    },
  }
}

describe('the steady clock', () => {
  it('shows the wall clock’s time', () => {
    const { time, pass } = clocks()
    pass(5000)
    expect(time()).toBe(START + 5000)
  })

  it('follows a step forward', () => {
    const { time, step } = clocks()
    step(3_600_000)
    expect(time()).toBe(START + 3_600_000)
  })

  it('goes on at half speed behind a step back, until the wall clock has caught up', () => {
    const { time, step, pass } = clocks()
    step(-10_000)
    expect(time()).toBe(START)
    pass(10_000)
    expect(time()).toBe(START + 5000)
    pass(10_000)
    expect(time()).toBe(START + 10_000)
    pass(1000)
    expect(time()).toBe(START + 11_000)
  })

  it('goes on where the wall clock shows no time', () => {
    const { time, stop, pass } = clocks()
    stop()
    pass(2000)
    expect(time()).toBe(START + 1000)
  })

  it('never goes back, nor slower than half, whatever the wall clock does', () => {
    const move = fc.record({
      step: fc.integer({ min: -100_000, max: 100_000 }),
      pass: fc.integer({ min: 0, max: 10_000 }),
    })
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        const { time, step, pass } = clocks()
        let last = time()
        for (const { step: by, pass: ms } of moves) {
          step(by)
          pass(ms)
          const now = time()
          expect(now).toBeGreaterThanOrEqual(last + ms / 2)
          last = now
        }
      }),
    )
  })

  it('no nonce is fresh longer than its window, and then again, whatever the wall clock does', () => {
    const move = fc.record({
      step: fc.integer({ min: -700_000, max: 700_000 }),
      pass: fc.integer({ min: 0, max: 100_000 }),
    })
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const { time, step, pass } = clocks()
        const nonces = open({}, time)
        const nonce = made(nonces)
        let elapsed = 0
        let ended = false
        for (const { step: by, pass: ms } of moves) {
          step(by)
          pass(ms)
          elapsed += ms
          const age = ask(nonces, nonce)
          expect(age === 'stale' || (elapsed <= nonces.window && !ended)).toBe(true)
          ended ||= age === 'stale'
        }
      }),
    )
  })

  it('a nonce made after a step back is valid', () => {
    const { time, step, pass } = clocks()
    const nonces = open({}, time)
    const before = made(nonces)
    step(-3_600_000)
    pass(1000)
    const after = made(nonces)
    pass(60_000)
    expect(ask(nonces, before)).toBe('fresh')
    expect(ask(nonces, after)).toBe('fresh')
  })
})
