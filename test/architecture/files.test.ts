import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { VERSION } from '../../src/version.ts'
import { readSources } from '../support/sources.ts'

const sources = readSources()
const LONGEST = 300

/** Files that may be longer, each with its reason. */
const LONGER: Readonly<Record<string, string>> = {}

describe('files', () => {
  it(`have at most ${LONGEST} lines, but for those with a reason`, () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ path, lines }) => lines > LONGEST && !(path in LONGER))
    expect(long).toEqual([])
  })

  it('begin with a comment that says what they hold, and @module', () => {
    const without = sources
      .filter(
        ({ text }) => !/^(?:#!.*\n)?\/\*\*\n \* [A-Za-z`].*\n(?: \*.*\n)*? \* @module\n \*\/\n/.test(text),
      )
      .map(({ path }) => path)
    expect(without).toEqual([])
  })

  it('say of every export what it is', () => {
    const bare = sources.flatMap(({ path, text }) => {
      const lines = text.split('\n')
      return lines.flatMap((line, i) => {
        const name =
          /^export (?:declare |abstract |async )*(?:function\*?|const|let|class|interface|type|enum) (\w+)/.exec(
            line,
          )?.[1]
        if (name === undefined) return []
        // One comment may stand above a row of constants; an overload stands below its sibling.
        let above = i - 1
        while (
          /^export const \w+ = .+$/.test(lines[above]!) ||
          lines[above]!.startsWith(`export function ${name}(`)
        )
          above--
        return lines[above]!.trim().endsWith('*/') ? [] : [`${path}:${i + 1} ${name}`]
      })
    })
    expect(bare).toEqual([])
  })

  it('have no default export', () => {
    expect(sources.filter(({ code }) => /^export default\b/m.test(code)).map(({ path }) => path)).toEqual([])
  })

  it('have no class but errors and the message view', () => {
    const classes = sources.flatMap(({ path, code }) =>
      Array.from(code.matchAll(/\bclass (\w+)(?: extends (\w+))?/g), ([, name, parent]) => ({
        path,
        name,
        parent,
      })),
    )
    const odd = classes.filter(({ name, parent }) => parent !== 'Error' && name !== 'MessageView')
    expect(odd).toEqual([])
  })
})

describe('the version', () => {
  it('is that of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(VERSION).toBe(version)
  })
})
