import { describe, expect, it } from 'vitest'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { exportModparams } from '../../src/keyring/modparam.ts'
import { misfit } from '../../src/keyring/rotation-fit.ts'
import {
  planAbort,
  planPromote,
  planRetire,
  planStart,
  type RotationPlan,
} from '../../src/keyring/rotation-plan.ts'
import {
  HELD_FROM,
  ROTATION_STATES,
  rotationPosition,
  type RotationState,
} from '../../src/keyring/rotation-state.ts'
import { repositoryFile } from '../support/xkeys.ts'
import { at, edited, EXAMPLES, GROUP, NOW, ringOf, statusOf, use } from './rotation-facts.ts'

const page = repositoryFile('docs/rotation.md')

/** The rows of the table below a heading, cells without marks. */
function tableBelow(heading: string): readonly (readonly string[])[] {
  const section = page.split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!
  const rows = section.split('\n').filter((line) => line.startsWith('|'))
  return rows.toSpliced(1, 1).map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

const COMMANDS = ['rotate start', 'rotate confirm', 'rotate promote', 'key retire old', 'rotate abort']

/** What a command does in a state once all evidence is there: the state behind it, or the reason of its refusal. */
function outcome(state: RotationState, command: string): string {
  const keys = EXAMPLES[state]
  // Old and new were seen in this order: nothing is missing for any step but the one that a newer use forbids.
  const uses =
    state === 'started' && command === 'rotate abort'
      ? []
      : [use('carrier', 'old', at('11:10')), use('carrier', 'new', at('11:20'))]
  const status = statusOf(keys, { report: { uses } })
  const confirm = (): RotationPlan => {
    const missing = misfit(status, 'confirm')
    return missing === undefined
      ? { ok: true, key: 'new', edits: [], notes: [], forced: [] }
      : { ok: false, missing }
  }
  const plans: Readonly<Record<string, () => RotationPlan>> = {
    'rotate start': () => planStart(status, 'next'),
    'rotate confirm': confirm,
    'rotate promote': () => planPromote(status, NOW, 'by-evidence'),
    'key retire old': () => planRetire(status, 'old', at('12:30'), 'by-evidence'),
    'rotate abort': () => planAbort(status, 'by-evidence'),
  }
  const plan = plans[command]!()
  if (!plan.ok) return `no: ${plan.missing[0]!.message}`
  return `→ ${rotationPosition(ringOf(edited(keys, plan.edits)), GROUP, NOW).state}`
}

const PUBLISHED = 'xks_DEMO-worthless-because-published-rotation-'

/** The keys of the page's drill, at the two ends of its rotation. */
function drill(from: Date | undefined, expires?: Date): Keyring {
  return createKeyring([
    [
      GROUP,
      [
        createKey({ name: '2029', secret: `${PUBLISHED}2029`, expires }),
        createKey({ name: '2030', secret: `${PUBLISHED}2030`, activeFrom: from }),
      ],
    ],
  ])
}

describe('docs/rotation.md', () => {
  const [head, ...rows] = tableBelow('States and commands')

  it('has a row for every state, and a column for every command', () => {
    expect(head).toEqual(['state', ...COMMANDS])
    expect(rows.map(([state]) => state)).toEqual([...ROTATION_STATES])
  })

  it.each(ROTATION_STATES)('tells what each command does where the state is %s', (state) => {
    const row = rows.find(([name]) => name === state)
    expect(row).toEqual([state, ...COMMANDS.map((command) => outcome(state, command))])
  })

  it('tells of every piece of evidence that can be missing', () => {
    const kinds = tableBelow('What is missing')
      .slice(1)
      .map(([kind]) => kind)
    const source = repositoryFile('src/keyring/rotation-evidence.ts')
    const union = source.split('export type MissingKind =')[1]!.split('\n\n')[0]!
    expect(kinds).toEqual(Array.from(union.matchAll(/'([a-z-]+)'/g), ([, kind]) => kind))
  })

  it('shows the lines that the export prints for a Kamailio peer', () => {
    const blocks = Array.from(page.matchAll(/^```text\n(modparam[^]*?)^```/gm), ([, block]) => block)
    expect(blocks).toEqual([
      exportModparams(drill(HELD_FROM), NOW),
      exportModparams(drill(HELD_FROM), HELD_FROM),
      exportModparams(drill(at('11:00'), at('11:30')), NOW),
    ])
    expect(blocks[1]).toBe(exportModparams(drill(at('11:00')), NOW))
  })
})
