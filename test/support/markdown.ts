import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** A fenced block of a page. */
export interface Block {
  readonly page: string
  /** Line of the opening fence, from 1. */
  readonly line: number
  /** The info string: `sh test` is language `sh` with the word `test`. */
  readonly language: string
  readonly words: readonly string[]
  readonly text: string
}

/** A relative link of a page. */
export interface Link {
  readonly page: string
  readonly line: number
  readonly target: string
}

const markdown = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => join(folder, entry.name))

/** Pages for readers: README, CHANGELOG, … beside package.json, keyrings/README.md, and docs/. */
export function pages(): readonly string[] {
  const folders = ['docs', 'keyrings'].filter((folder) =>
    readdirSync(ROOT, { withFileTypes: true }).some((entry) => entry.isDirectory() && entry.name === folder),
  )
  return ['.', ...folders].flatMap(markdown).toSorted()
}

/** The fenced blocks of a page. A fence that never closes is a failure. */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = []
  let open: { line: number; info: string; lines: string[] } | undefined
  for (const [index, line] of readPage(page).entries()) {
    const fence = /^```(.*)$/.exec(line)
    if (fence === null) open?.lines.push(line)
    else if (open === undefined) open = { line: index + 1, info: fence[1]!.trim(), lines: [] }
    else {
      const [language = '', ...words] = open.info.split(/\s+/)
      blocks.push({
        page,
        line: open.line,
        language,
        words,
        text: open.lines.map((text) => `${text}\n`).join(''),
      })
      open = undefined
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: this block never closes`)
  return blocks
}

/** The relative links of a page, blocks and code aside. */
export function linksOf(page: string): readonly Link[] {
  let fenced = false
  return readPage(page).flatMap((line, index): Link[] => {
    if (line.startsWith('```')) fenced = !fenced
    if (fenced) return []
    return Array.from(line.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => ({
      page,
      line: index + 1,
      target,
    })).filter(({ target }) => !/^[a-z]+:|^#/.test(target))
  })
}

function readPage(page: string): readonly string[] {
  return readFileSync(join(ROOT, page), 'utf8').split('\n')
}

/** Where the repository is. */
export const repository = ROOT
