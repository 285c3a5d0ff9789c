import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { folderWith } from '../support/folder.ts'
import { fitPatterns, outputLines, parseTranscript } from '../support/transcript.ts'
import { repositoryFile, xkeys } from '../support/xkeys.ts'

const FOLDER = new URL('transcripts/', import.meta.url)
const KEYRINGS = new URL('../../keyrings/', import.meta.url)
const names = readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))

describe('the command line', () => {
  it.each(names)('%s', async (name) => {
    const { steps, files } = parseTranscript(repositoryFile(`test/cli/transcripts/${name}`))
    expect(steps.length).toBeGreaterThan(0)
    const folder = folderWith({})
    cpSync(KEYRINGS, join(folder, 'keyrings'), { recursive: true })
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), content)
    }
    for (const { line, args, stdin, stdout, stderr, exit } of steps) {
      const input = stdin === undefined ? undefined : readFileSync(join(folder, stdin))
      const result = await xkeys(args, { cwd: folder, stdin: input })
      const where = `${name}:${line}: xkeys ${args.join(' ')}`
      expect({
        where,
        stdout: fitPatterns(outputLines(result.stdout), stdout),
        stderr: fitPatterns(outputLines(result.stderr), stderr),
        exit: result.exit,
      }).toEqual({ where, stdout, stderr, exit })
    }
  })

  it.each(names)('%s: every error is a line that says xkeys, and no trace', (name) => {
    const { steps } = parseTranscript(repositoryFile(`test/cli/transcripts/${name}`))
    const faults = steps.flatMap(({ stderr, exit, line }) => {
      const text = stderr.join('\n')
      // A command without its subcommand shows its usage.
      const odd = text.startsWith('Usage: ') ? [] : stderr.filter((error) => !/^\/?xkeys: ./.test(error))
      const errors = stderr.filter((error) => !error.startsWith('xkeys: warning: '))
      const right =
        odd.length === 0 &&
        !/^ +at |node:|\.js:\d|undefined|\[object/m.test(text) &&
        (exit === 0 ? errors.length === 0 : exit === 1 || errors.length > 0)
      return right ? [] : [`${name}:${line}: ${text}`]
    })
    expect(faults).toEqual([])
  })

  it('all exit codes but that of a bug occur', () => {
    const seen = names.flatMap((name) =>
      parseTranscript(repositoryFile(`test/cli/transcripts/${name}`)).steps.map(({ exit }) => exit),
    )
    expect([...new Set(seen)].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 78])
  })
})
