/**
 * Pages are held to what they say. The rule of each fenced block follows from its language:
 *
 * - `ts`, `js`, `mjs`: a module of its own that type-checks against the built package; the word `continued` behind the
 *   language appends it to the block before
 * - `toml`: a keyring, or an edge configuration; tables that it does not show are filled in
 * - `json`: parses
 * - `sh`, `bash`, `console`: every `xkeys` command has words that exist, every npm script is one, every path of the
 *   repository is there; with the word `test` its commands are run, in order, and end with 0. A Kamailio script has keys
 *   that can be imported and templates that compile
 * - `sip`, `text`, `diff`, or no language: shown only
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { importModparams } from '../../src/keyring/modparam.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { compileTemplate } from '../../src/template/compile.ts'
import { parseToml, type TomlTable } from '../../src/toml.ts'
import { folderWith } from '../support/folder.ts'
import { blocksOf, linksOf, pages, repository, type Block } from '../support/markdown.ts'
import { splitCommand } from '../support/transcript.ts'
import { xkeys } from '../support/xkeys.ts'

const SCRIPTS = new Set(['ts', 'js', 'mjs'])
const SHELLS = new Set(['sh', 'bash', 'console', 'shell'])
const SHOWN = new Set(['', 'sip', 'text', 'diff', 'http', 'promql', 'mermaid', 'ini'])

const blocks = pages().flatMap(blocksOf)
const title = ({ page, line, language }: Block): string => `${page}:${line} (${language || 'no language'})`
const those = (wanted: (block: Block) => boolean): readonly (readonly [string, Block])[] =>
  blocks.filter(wanted).map((block) => [title(block), block])

describe('pages', () => {
  it('have blocks, each of a language with a rule', () => {
    expect(pages()).toContain('keyrings/README.md')
    expect(blocks.length).toBeGreaterThan(0)
    const known = new Set([...SCRIPTS, ...SHELLS, ...SHOWN, 'toml', 'json'])
    expect(blocks.filter(({ language }) => !known.has(language)).map(title)).toEqual([])
  })

  it('link to files that are there', () => {
    const broken = pages()
      .flatMap(linksOf)
      .filter(({ page, target }) => !existsSync(join(repository, dirname(page), target.split('#')[0]!)))
    expect(broken).toEqual([])
  })
})

describe('code', () => {
  // Inside of the repository, so that `auth-xkeys` means this package.
  const cache = join(repository, '.cache')
  let folder = ''
  let report = ''
  const fileOf = new Map<Block, string>()

  beforeAll(async () => {
    mkdirSync(cache, { recursive: true })
    folder = mkdtempSync(join(cache, 'docs-'))
    const texts = new Map<string, string>()
    let last = ''
    for (const [index, block] of blocks.entries()) {
      if (!SCRIPTS.has(block.language)) continue
      const continued = block.words.includes('continued')
      const name = continued ? last : `block-${index}.${block.language === 'ts' ? 'mts' : 'mjs'}`
      texts.set(name, (continued ? (texts.get(name) ?? '') : '') + block.text)
      fileOf.set(block, name)
      last = name
    }
    for (const [name, text] of texts) writeFileSync(join(folder, name), `${text}export {}\n`)
    const config = {
      extends: '../../tsconfig.json',
      compilerOptions: {
        allowJs: true,
        checkJs: true,
        noUnusedLocals: false,
        noUnusedParameters: false,
        typeRoots: ['../../node_modules/@types'],
      },
      include: ['*.mts', '*.mjs'],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(repository, 'node_modules/typescript/bin/tsc')
    const child = spawn(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {
      cwd: folder,
      stdio: 'pipe',
    })
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (report += text))
    await once(child, 'close')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it.each(those(({ language }) => SCRIPTS.has(language)))('%s type-checks', (_, block) => {
    const name = fileOf.get(block)!
    expect(report.split('\n').filter((line) => line.includes(name))).toEqual([])
  })

  it('has no other fault', () => {
    expect(report.split('\n').filter((line) => line !== '' && !line.includes('block-'))).toEqual([])
  })
})

const agreement = (name: string): string =>
  `[agreements.${name}]\nheader = "X-Auth"\ngroup = "a"\nalgorithm = "hmac-sha256"\nrequest = "$ru"\n`

/** A configuration around the tables that a block shows. */
function completed(text: string, table: TomlTable): string {
  const agreements = Object.keys((table['agreements'] ?? {}) as TomlTable)
  const trunks = Object.values((table['trunks'] ?? {}) as Record<string, { readonly agreement: string }>)
  const wanted = trunks.map((trunk) => trunk.agreement).filter((name) => !agreements.includes(name))
  const first = agreements[0] ?? 'main'
  const missing = (name: string, tables: string): string => (name in table ? '' : tables)
  return [
    missing('keyring', 'keyring = "keyring.toml"\n'),
    text,
    missing('listen', '[listen]\ntrunk = "127.0.0.1:5060"\nupstream = "127.0.0.1:5062"\n'),
    missing('upstream', '[upstream]\ntarget = "127.0.0.1:5080"\n'),
    ...new Set(wanted.map(agreement)),
    missing('agreements', trunks.length === 0 ? agreement('main') : ''),
    missing(
      'trunks',
      `[trunks.filled-in]\nsources = ["192.0.2.1"]\ntarget = "192.0.2.1:5060"\nagreement = "${first}"\n`,
    ),
  ].join('\n')
}

describe('data', () => {
  it.each(those(({ language }) => language === 'toml'))(
    '%s is a keyring or a configuration',
    (_, { text }) => {
      const parsed = parseToml(text)
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
      const made =
        'groups' in parsed.value
          ? parseKeyring(text, { resolve: () => Buffer.from('fetched') }).groups
          : parseEdgeConfig(completed(text, parsed.value)).trunks
      expect(made.length).toBeGreaterThan(0)
    },
  )

  it.each(those(({ language }) => language === 'json'))('%s parses', (_, { text }) => {
    expect(() => JSON.parse(text)).not.toThrow()
  })
})

// ── shells ──

const isKamailio = ({ text }: Block): boolean =>
  /^(?:loadmodule|modparam|request_route|#!define)\b/m.test(text)

/** The commands of a block: continued lines joined, prompts and remarks gone, `&&` and `|` taken apart. */
const commandsOf = ({ text, language }: Block): readonly string[] =>
  text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => language !== 'console' || line.startsWith('$ '))
    .map((line) =>
      line
        .replace(/^\$ /, '')
        .replace(/(?:^|\s+)#\s.*$/, '')
        .trim(),
    )
    .flatMap((line) => line.split(/\s(?:&&|\|)\s/))
    .filter((line) => line !== '')

/** `sign --json`: the words that a command has, read from its own help. */
const helps = new Map<string, Promise<string>>()
function helpOf(command: readonly string[]): Promise<string> {
  const name = command.join(' ')
  const known =
    helps.get(name) ?? xkeys([...command, '--help'], { cwd: repository }).then(({ stdout }) => stdout)
  helps.set(name, known)
  return known
}

/** What is wrong with the words of an `xkeys` command. */
async function faultsOf(args: readonly string[]): Promise<readonly string[]> {
  const command: string[] = []
  let rest = args
  let help = await helpOf(command)
  while (help.includes('\nCommands:\n') && rest[0] !== undefined && !rest[0].startsWith('-')) {
    if (!new RegExp(`^ {2}${rest[0]}\\b`, 'm').test(help)) return [`no command ${rest[0]}`]
    command.push(rest[0])
    rest = rest.slice(1)
    help = await helpOf(command)
  }
  const faults: string[] = []
  const options = new Map(
    Array.from(help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)( <)?/gm), ([, name = '', value]) => [
      name,
      value !== undefined,
    ]),
  )
  let positional = 0
  for (let i = 0; i < rest.length; i++) {
    const [name = '', inline] = rest[i]!.split('=', 2)
    if (!name.startsWith('--')) positional++
    else if (!options.has(name)) faults.push(`no option ${name}`)
    else if (options.get(name) === true && inline === undefined && rest[++i] === undefined)
      faults.push(`${name} lacks its value`)
  }
  const usage = help.split('\n', 1)[0]!
  const required = usage.match(/<[^>]+>/g)?.length ?? 0
  const most = usage.includes('...')
    ? Infinity
    : required + (usage.match(/\[(?!options|command)[^\]]+\]/g)?.length ?? 0)
  if (positional < required || positional > most) faults.push(`${positional} arguments for ${usage}`)
  return faults
}

const NPM_OWN = new Set(['ci', 'install', 'i', 'pack', 'exec', 'test', 'start', 'publish', 'version'])

describe('commands', () => {
  const scripts = Object.keys(
    (
      JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
        scripts: Record<string, string>
      }
    ).scripts,
  )
  const shells = those((block) => SHELLS.has(block.language) && !isKamailio(block))

  it.each(shells)('%s has words that exist', async (_, block) => {
    const faults: string[] = []
    for (const command of commandsOf(block)) {
      const { args, stdin } = splitCommand(command)
      const words = args[0] === 'npx' ? args.slice(1) : args
      if (words[0] === 'xkeys')
        faults.push(...(await faultsOf(words.slice(1))).map((fault) => `${command}: ${fault}`))
      if (words[0] === 'npm') {
        const script = words[1] === 'run' ? words[2]! : words[1]!
        const exists = words[1] === 'run' || !NPM_OWN.has(script) || script === 'test' || script === 'start'
        if (exists && !scripts.includes(script)) faults.push(`${command}: no script ${script}`)
      }
      for (const path of [...args, stdin ?? '']) {
        if (/^(?:examples|keyrings|docs|bench|deploy)\//.test(path) && !existsSync(join(repository, path))) {
          faults.push(`${command}: no file ${path}`)
        }
      }
    }
    expect(faults).toEqual([])
  })

  const runnable = those((block) => SHELLS.has(block.language) && block.words.includes('test'))
  it.skipIf(runnable.length === 0).each(runnable)('%s can be run', async (_, block) => {
    const cwd = folderWith({})
    for (const folder of ['keyrings', 'examples'])
      cpSync(join(repository, folder), join(cwd, folder), { recursive: true })
    for (const command of commandsOf(block)) {
      const { args, stdin } = splitCommand(command)
      const out = args.indexOf('>')
      const words = out < 0 ? args : args.slice(0, out)
      expect(words[0]).toBe('xkeys')
      const input = stdin === undefined ? undefined : readFileSync(join(cwd, stdin))
      const { stdout, stderr, exit } = await xkeys(words.slice(1), { cwd, stdin: input })
      expect({ command, stderr, exit }).toMatchObject({ exit: 0 })
      if (out >= 0) writeFileSync(join(cwd, args[out + 1]!), stdout)
    }
  })
})

describe('Kamailio scripts', () => {
  const kamailio = those(
    (block) => isKamailio(block) && (SHELLS.has(block.language) || SHOWN.has(block.language)),
  )

  it.each(kamailio)('%s has keys that can be imported', (_, { text }) => {
    const lines = text.split('\n').filter((line) => line.startsWith('modparam("auth_xkeys", "xkey"'))
    expect(importModparams(lines.join('\n'), new Date()).groups.length).toBe(lines.length > 0 ? 1 : 0)
  })

  it.each(kamailio)('%s has templates that compile', (_, { text }) => {
    const templates = Array.from(
      text.matchAll(/^#!define (?:SIGN|CHECK)_\w+\s+"(.*)"$/gm),
      ([, source]) => source!,
    )
    for (const source of templates) expect(compileTemplate(source).variables.length).toBeGreaterThan(0)
  })
})
