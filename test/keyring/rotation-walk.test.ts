import { describe, expect, it } from 'vitest'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { planRetire } from '../../src/keyring/rotation-plan.ts'
import { rotationPosition } from '../../src/keyring/rotation-state.ts'
import { describeRotation, type RotationStatus } from '../../src/keyring/rotation.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { describeKeyring } from '../../src/keyring/facts.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { editHeaders } from '../../src/message/edit.ts'
import { bytesOf, contextOf } from '../support/messages.ts'
import { agreementOf } from '../support/signed-messages.ts'
import { repositoryFile } from '../support/xkeys.ts'

const GROUP = 'trunk-a'
const ring = (name: string): Keyring => parseKeyring(repositoryFile(`keyrings/rotation/${name}.toml`))
const [before, overlap, after] = [ring('1-before'), ring('2-overlap'), ring('3-after')]

/** January 2030. */
const jan = (day: number, seconds = 0): Date => new Date(Date.UTC(2030, 0, day) + seconds * 1000)

/** A node or a peer with a clock of its own, that changes its keyring while it works. */
function party() {
  const at = { now: jan(1), ring: before }
  const options = { agreement: agreementOf(), keyring: () => at.ring, now: () => at.now }
  return { at, signer: createSigner(options), verifier: createVerifier(options) }
}

/** Who signed what `from` sends and `to` verifies, or why it is refused. */
function pass(from: ReturnType<typeof party>, to: ReturnType<typeof party>): string {
  const bytes = bytesOf()
  const signed = from.signer.sign(contextOf(bytes))
  if (!signed.ok) return signed.reason
  const result = to.verifier.verify(contextOf(editHeaders(bytes, { add: [[signed.header, signed.token]] })))
  return result.ok ? result.key.name : result.reason
}

describe('keyrings/rotation, walked', () => {
  it.each([
    [
      '1-before',
      before,
      [
        [jan(1), 'idle'],
        [jan(31), 'idle'],
      ],
    ],
    [
      '2-overlap',
      overlap,
      [
        [jan(1), 'scheduled'],
        [jan(10, -1), 'scheduled'],
        [jan(10), 'retiring'],
        [jan(20, -1), 'retiring'],
        [jan(20), 'idle'],
      ],
    ],
    [
      '3-after',
      after,
      [
        [jan(10, -1), 'unsigned'],
        [jan(10), 'idle'],
      ],
    ],
  ] as const)('%s is in a state that has a name, to the second', (_, keyring, states) => {
    for (const [time, state] of states) {
      expect([time, rotationPosition(keyring, GROUP, time).state]).toEqual([time, state])
    }
  })

  it('loses no message, whoever gets which file when, each with a clock that is 4 seconds off', () => {
    const [ours, other, theirs] = [party(), party(), party()]
    const all = [ours, other, theirs]
    // When each of them gets the second and the third file: the second before 10 January, the third behind it.
    const turns: readonly (readonly [(typeof all)[number], Date, Keyring])[] = [
      [ours, jan(2), overlap],
      [theirs, jan(5), overlap],
      [other, jan(10, -10), overlap],
      [theirs, jan(10, 10), after],
      [ours, jan(15), after],
      [other, jan(20, 3600), after],
    ]
    const seen = new Set<string>()
    const times = [jan(1), jan(2), jan(5), jan(10), jan(15), jan(20), jan(30)].flatMap((time) =>
      Array.from({ length: 61 }, (_, i) => new Date(time.getTime() + (i - 30) * 1000)),
    )
    for (const time of times) {
      for (const [who, when, keyring] of turns) if (when <= time) who.at.ring = keyring
      ours.at.now = time
      other.at.now = new Date(time.getTime() - 4000)
      theirs.at.now = new Date(time.getTime() + 4000)
      for (const from of all) {
        for (const to of all) {
          const key = pass(from, to)
          seen.add(key)
          expect(['2029', '2030']).toContain(key)
        }
      }
    }
    expect([...seen]).toEqual(['2029', '2030'])
  })

  it('guided, it may end sooner: as soon as the peer was seen on the new key', () => {
    const now = jan(12)
    const statusWith = (times: Readonly<Record<string, Date>>): RotationStatus =>
      describeRotation({
        keyring: overlap,
        group: GROUP,
        now,
        peers: ['carrier'],
        expectedNodes: ['edge-1'],
        confirmations: [],
        reports: [
          {
            node: 'edge-1',
            at: now,
            since: jan(1),
            keys: overlap
              .keys(GROUP)
              .map((key) => ({ group: GROUP, key: key.name, fingerprint: key.fingerprint, since: jan(2) })),
            groups: describeKeyring(overlap, now).groups,
            uses: Object.entries(times).map(([key, time]) => ({
              group: GROUP,
              key,
              fingerprint: overlap.keys(GROUP).find(({ name }) => name === key)!.fingerprint,
              peer: 'carrier',
              lastVerified: time,
            })),
          },
        ],
      })
    const late = planRetire(statusWith({ 2029: jan(11) }), '2029', now, 'by-evidence')
    expect(late).toMatchObject({ ok: false, missing: [{ kind: 'peer-on-old' }] })
    const moved = planRetire(statusWith({ 2029: jan(10), 2030: jan(11) }), '2029', now, 'by-evidence')
    expect(moved).toMatchObject({ ok: true, edits: [{ key: '2029', setting: 'expires', time: now }] })
  })
})
