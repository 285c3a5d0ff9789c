import { describe, expect, it } from 'vitest'
import { lastUses, type Evidence, type EvidenceOptions, type NodeReport } from '../../src/keyring/evidence.ts'
import { createEvidence } from '../../src/keyring/evidence-recorder.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { createVerifier, type Verifier } from '../../src/xkeys/verify.ts'
import { contextOf, bytesOf } from '../support/messages.ts'
import { agree, later, NOON, ringOf, signedBytes } from '../support/parties.ts'

const [A, B] = ['secret a of the tests, long enough', 'secret b of the tests, long enough']
const ringA = ringOf([{ name: 'a', secret: A }])
const ringAB = ringOf([
  { name: 'a', secret: A },
  { name: 'b', secret: B },
])
const fingerprintOf = (ring: Keyring, name: string): string =>
  ring.keys('trunk').find((key) => key.name === name)!.fingerprint

interface Node {
  readonly evidence: Evidence
  readonly verifier: Verifier
  /** Receives a message that `ring`'s active key signed, from the peer; `call` tells messages apart. */
  receive(call: string, ring?: Keyring): boolean
  /** The uses as `key peer first last signed`, in seconds after noon. */
  uses(seconds: number): readonly string[]
  report(seconds: number, end?: 'stopped'): NodeReport
}

const message = (call: string): Buffer =>
  bytesOf({ start: 'OPTIONS sip:bob@biloxi.example SIP/2.0', with: { CSeq: `1 OPTIONS`, 'Call-ID': call } })
const AGREEMENT = { request: '$fu:$ru:$ci:$hdr(CSeq)' }

function node(ring: Keyring = ringAB, more: Partial<EvidenceOptions> = {}): Node {
  const evidence = createEvidence({ node: 'n', now: NOON, peers: ['peer', 'other'], ...more })
  evidence.adopt(ring, more.now ?? NOON)
  const verifier = createVerifier({
    agreement: agree(AGREEMENT),
    keyring: ring,
    now: () => NOON,
    evidence: {
      cell: ({ name }) =>
        evidence.cell({ group: 'trunk', fingerprint: fingerprintOf(ring, name), peer: 'peer' }),
      seen: evidence.seen,
    },
  })
  const report = (seconds: number, end?: 'stopped'): NodeReport => evidence.report(later(seconds * 1000), end)
  return {
    evidence,
    verifier,
    receive: (call, by = ring) =>
      verifier.verify(contextOf(signedBytes(message(call), { agreement: AGREEMENT, ring: by }))).ok,
    uses: (seconds) =>
      report(seconds).uses.map((use) => {
        const times = [use.firstVerified, use.lastVerified, use.lastSigned]
        return [use.key, use.peer, ...times.map(after)].join(' ')
      }),
    report,
  }
}

const after = (time: Date | undefined): string =>
  time === undefined ? '-' : String((time.getTime() - NOON.getTime()) / 1000)

describe('what is seen', () => {
  it('has the time of the sample that found it', () => {
    const n = node()
    expect(n.uses(0)).toEqual([])
    n.receive('1')
    expect(n.evidence.sample(later(1000))).toBe('first-use')
    expect(n.evidence.sample(later(2000))).toBe('unused')
    n.receive('2')
    expect(n.evidence.sample(later(7000))).toBe('used')
    expect(n.uses(9)).toEqual(['b peer 1 7 -'])
  })

  it('is told for each key and peer, signing apart', () => {
    const n = node()
    n.receive('1', ringA)
    n.evidence.sample(later(1000))
    n.receive('2')
    n.evidence.cell({ group: 'trunk', fingerprint: fingerprintOf(ringAB, 'b'), peer: 'other' }).signed++
    expect(n.uses(2)).toEqual(['a peer 1 1 -', 'b peer 2 2 -', 'b other - - 2'])
    expect(lastUses(n.report(3))).toEqual([
      { group: 'trunk', key: 'a', verified: later(1000).getTime(), signed: undefined },
      { group: 'trunk', key: 'b', verified: later(2000).getTime(), signed: later(2000).getTime() },
    ])
  })

  it('does not grow by messages, sources or peers that nobody configured', () => {
    const n = node()
    for (let i = 0; i < 500; i++) n.receive(`call ${i}`)
    expect(n.report(1).uses).toHaveLength(1)
    const use = { ...n.report(1).uses[0]!, peer: 'gone' }
    expect(node(ringAB, { earlier: { ...n.report(1), uses: [use] } }).report(2).uses).toEqual([])
  })
})

describe('what does not count', () => {
  it('a replayed token', () => {
    const n = node()
    n.receive('1')
    n.evidence.sample(later(1000))
    for (let second = 2; second < 300; second++) {
      expect(n.receive('1')).toBe(true)
      expect(n.evidence.sample(later(second * 1000))).toBe('unused')
    }
    expect(n.uses(300)).toEqual(['b peer 1 1 -'])
  })

  it('a replayed token in another way of writing', () => {
    const n = node()
    const bytes = signedBytes(message('1'), { agreement: AGREEMENT, ring: ringAB })
    const hex = /X-Auth: ([0-9a-f]{64})/.exec(bytes.toString('latin1'))![1]!
    const forms = [hex, hex.toUpperCase(), Buffer.from(hex, 'hex').toString('base64url')]
    for (const [i, form] of forms.entries()) {
      const written = Buffer.from(bytes.toString('latin1').replace(hex, form), 'latin1')
      expect(n.verifier.verify(contextOf(written)).ok).toBe(true)
      n.evidence.sample(later(1000 * (i + 1)))
    }
    expect(n.uses(9)).toEqual(['b peer 1 1 -'])
  })

  it.each([
    ['of a key that is not there', (bytes: string) => bytes],
    ['with a bit changed', (bytes: string) => bytes.replace(/(X-Auth: .*)(.)\r/, '$1x\r')],
    ['missing', (bytes: string) => bytes.replace(/X-Auth: .*\r\n/, '')],
    ['of another message', (bytes: string) => bytes.replace('Call-ID: 1', 'Call-ID: 2')],
  ])('a refused token: %s', (_, change) => {
    const n = node()
    const wrong = ringOf(['a secret that nobody knows of here'])
    const bytes = signedBytes(message('1'), { agreement: AGREEMENT, ring: wrong }).toString('latin1')
    expect(n.verifier.verify(contextOf(Buffer.from(change(bytes), 'latin1'))).ok).toBe(false)
    expect(n.evidence.sample(later(1000))).toBe('unused')
    expect(n.report(1).uses).toEqual([])
  })

  it('a token that was refused is new when it is right: a refusal takes nothing', () => {
    const n = node(ringA)
    const both = node()
    expect(n.receive('1', ringAB)).toBe(false)
    expect(both.receive('1')).toBe(true)
    expect(both.uses(1)).toEqual(['b peer 1 1 -'])
  })
})

describe('a keyring that changes', () => {
  it('keeps what a key did until it is pruned', () => {
    const n = node()
    n.receive('1', ringA)
    n.receive('2')
    const ended = ringOf([
      { name: 'a', secret: A, revoked: new Date(0) },
      { name: 'b', secret: B },
    ])
    n.evidence.adopt(ended, later(5000))
    expect(n.uses(6)).toEqual(['a peer 5 5 -', 'b peer 5 5 -'])
    n.evidence.adopt(ringOf([{ name: 'b', secret: B }]), later(7000))
    expect(n.uses(8)).toEqual(['b peer 5 5 -'])
    // What comes again begins anew.
    n.evidence.adopt(ringAB, later(9000))
    expect(n.uses(10)).toEqual(['b peer 5 5 -'])
  })

  it('tells since when each key is held', () => {
    const n = node(ringA)
    n.evidence.adopt(ringAB, later(60_000))
    const held = n.report(61).keys.map(({ key, fingerprint, since }) => [key, fingerprint, after(since)])
    expect(held).toEqual([
      ['a', fingerprintOf(ringAB, 'a'), '0'],
      ['b', fingerprintOf(ringAB, 'b'), '60'],
    ])
  })

  it('a key under another name is the same key; another secret under the same name is another', () => {
    const n = node()
    n.receive('1')
    n.evidence.sample(later(1000))
    n.evidence.adopt(ringOf([{ name: 'renamed', secret: B }]), later(2000))
    expect(n.uses(3)).toEqual(['renamed peer 1 1 -'])
    n.evidence.adopt(ringOf([{ name: 'renamed', secret: 'quite another secret of the tests' }]), later(4000))
    expect(n.uses(5)).toEqual([])
  })

  it('groups are told with the fingerprint that the metrics show', () => {
    expect(node().report(0).groups).toEqual([
      { group: 'trunk', fingerprint: expect.stringMatching(/^[0-9a-f]{8}$/) },
    ])
  })
})

/** What is left of a run: used at 10 s, its last report at 20 s. */
function afterRun(end?: 'stopped'): NodeReport {
  const n = node()
  n.receive('1')
  n.evidence.sample(later(10_000))
  return n.report(20, end)
}

describe('a restart', () => {
  it('goes on where the last run ended in order', () => {
    const n = node(ringAB, { now: later(100_000), earlier: afterRun('stopped') })
    const report = n.report(101)
    expect(after(report.since)).toBe('0')
    expect(report.stopped).toBeUndefined()
    expect(n.uses(101)).toEqual(['b peer 10 10 -'])
    expect(report.keys.map(({ since }) => after(since))).toEqual(['0', '0'])
    n.receive('2')
    expect(n.uses(102)).toEqual(['b peer 10 102 -'])
  })

  it('after a crash the times stay, and what may be lost is unknown', () => {
    const n = node(ringAB, { now: later(100_000), earlier: afterRun() })
    expect(after(n.report(101).since)).toBe('100')
    expect(n.uses(101)).toEqual(['b peer 10 10 -'])
  })

  it('with evidence lost nothing is known, not even since when', () => {
    const n = node(ringAB, { now: later(100_000) })
    expect(after(n.report(101).since)).toBe('100')
    expect(n.uses(101)).toEqual([])
  })

  it('drops what a key did that is gone by then', () => {
    expect(node(ringA, { now: later(100_000), earlier: afterRun('stopped') }).uses(101)).toEqual([])
  })
})

describe('a clock that steps', () => {
  it('forwards: the order stays', () => {
    const n = node()
    n.receive('1', ringA)
    n.evidence.sample(later(1000))
    n.receive('2')
    expect(n.uses(3600)).toEqual(['a peer 1 1 -', 'b peer 3600 3600 -'])
  })

  it('backwards a little: times stand still, so what came later never looks earlier', () => {
    const n = node()
    n.receive('1')
    n.evidence.sample(later(10_000))
    n.receive('2', ringA)
    n.evidence.sample(later(6000))
    expect(n.uses(7)).toEqual(['a peer 10 10 -', 'b peer 10 10 -'])
    expect(after(n.report(7).since)).toBe('0')
  })

  it('backwards far: what lies ahead is unknown, and the evidence begins anew', () => {
    const n = node()
    n.receive('1', ringA)
    n.evidence.sample(later(1000))
    n.receive('2')
    n.evidence.sample(later(7200_000))
    n.receive('3', ringA)
    n.evidence.sample(later(60_000))
    expect(n.uses(61)).toEqual(['a peer 1 60 -'])
    expect(after(n.report(61).since)).toBe('60')
    expect(n.report(61).keys.map(({ since }) => after(since))).toEqual(['0', '0'])
  })

  it('backwards between two runs', () => {
    const n = node(ringAB, { now: later(-3600_000), earlier: afterRun('stopped') })
    expect(after(n.report(-3599).since)).toBe('-3600')
    expect(n.uses(-3599)).toEqual([])
  })

  it('to no time at all: the last one stands', () => {
    const n = node()
    n.receive('1')
    n.evidence.sample(later(1000))
    n.receive('2')
    n.evidence.sample(new Date(NaN))
    expect(n.uses(2)).toEqual(['b peer 1 1 -'])
  })
})

it('what may lack something is complete from then on', () => {
  const n = node()
  n.receive('1')
  n.evidence.sample(later(1000))
  n.evidence.lose(later(5000))
  expect(after(n.report(6).since)).toBe('5')
  expect(n.uses(6)).toEqual(['b peer 1 1 -'])
})
