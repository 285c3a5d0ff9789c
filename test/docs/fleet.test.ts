import { describe, expect, it } from 'vitest'
import { repositoryFile } from '../support/xkeys.ts'

const page = repositoryFile('docs/fleet.md')

/** The first cells of the table under a heading. */
function rowsUnder(heading: string): readonly string[] {
  const section = page.slice(page.indexOf(`\n## ${heading}\n`) + 1).split('\n## ')[0]!
  const rows = section.split('\n').filter((line) => line.startsWith('| '))
  return rows.slice(1).map((line) => line.split(' | ')[0]!.slice(2).replaceAll('`', ''))
}

const EDGE = 'test/edge/fleet.test.ts'
const CLI = 'test/cli/fleet.test.ts'
const CHANGE = 'test/cli/keyring-change-shared.test.ts'

/** What shows each row: a test file, and the title of its test. */
const SHOWN: Readonly<Record<string, readonly [file: string, title: string]>> = {
  'Redis is away': [EDGE, 'go on without the store, start without it, and catch up when it is back'],
  'a node restarts while Redis is away': [EDGE, 'go on without the store, start without it'],
  'a node starts with neither Redis nor a copy': [EDGE, 'do not start with neither store nor copy'],
  'Redis is back': [EDGE, 'go on without the store, start without it, and catch up when it is back'],
  'Redis comes back empty': [EDGE, 'go on without the store, start without it, and catch up when it is back'],
  'Redis comes back with an older keyring': [EDGE, 'refuse what is older, brings back a revoked key'],
  'somebody stores a keyring in which a revoked key counts again': [
    EDGE,
    'remember what was revoked over a restart',
  ],
  'somebody stores what is not a sealed keyring at all': [
    EDGE,
    'take what is no sealed keyring for no answer',
  ],
  'somebody stores a text that was changed by hand, or sealed with another KEK': [
    EDGE,
    'refuse what is older, brings back a revoked key, or cannot be opened',
  ],
  'a keyring lacks the group of a trunk': [EDGE, 'refuse what lacks the group of a trunk'],
  'a node is cut off from Redis': [EDGE, 'are silent to the others while they are cut off'],
  'a node stops in good order, or crashes': [EDGE, 'see each other'],
  "a node's clock is off by more than 5 seconds": [CLI, 'or whose clock is behind'],
  'two operators change keys at the same time': [CLI, 'take every change of operators who are at it'],
  'the answer to a change is lost': [CHANGE, 'finds out whether it is in, where the answer was lost'],
  'the password of Redis is wrong': [EDGE, 'take the password from where it is kept, and never show it'],
}

describe('docs/fleet.md', () => {
  it('has a test for each row of its table of failures', () => {
    expect(rowsUnder('When something fails')).toEqual(Object.keys(SHOWN))
    for (const [file, title] of Object.values(SHOWN)) expect(repositoryFile(file)).toContain(title)
  })

  it('has every reason why a node refuses', () => {
    const source = repositoryFile('src/edge/refusal-code.ts')
    const [, union = ''] = /export type RefusalCode =([^]*?)\n\n/.exec(source) ?? []
    const codes = Array.from(union.matchAll(/'([a-z-]+)'/g), ([, code]) => code!)
    expect(codes.length).toBeGreaterThan(3)
    expect(rowsUnder('Why a node refuses').toSorted()).toEqual(codes.toSorted())
  })
})
