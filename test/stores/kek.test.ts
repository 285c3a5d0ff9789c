import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createKek } from '../../src/keyring/seal.ts'
import {
  fetchKek,
  KEK_TIMEOUT_MS,
  openKek,
  parseKekReference,
  type FetchKekOptions,
  type KekReference,
} from '../../src/stores/kek.ts'
import { runCommandLater, type Command } from '../../src/stores/kek-command.ts'
import { folderWith } from '../support/folder.ts'
import { KEK, KEK_BYTES, OTHER_KEK, shown } from '../support/sealed.ts'

const BYTES = KEK_BYTES.one
const HEX = BYTES.toString('hex')
const BASE64 = BYTES.toString('base64')

/** What `run` throws. */
function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('it was accepted')
}

/** What an error says; never a key, nor in anything that hangs on it. */
function saidBy(error: unknown): string {
  expect(error).toBeInstanceOf(Error)
  expect(shown(inspect(error, { depth: 9, showHidden: true }))).toEqual([])
  return (error as Error).message
}

const faultOf = (run: () => unknown): string => saidBy(thrownBy(run))

const program = (script: string, ...args: string[]): Command => [process.execPath, '-e', script, ...args]
const node = (script: string, ...args: string[]): KekReference => ({
  kind: 'command',
  command: program(script, ...args),
})
const PRINT = `process.stdout.write(Buffer.from('${HEX}', 'hex'))`

describe('a reference', () => {
  it.each<readonly [string, KekReference]>([
    ['file:/run/secrets/kek', { kind: 'file', path: '/run/secrets/kek' }],
    ['file:a:b', { kind: 'file', path: 'a:b' }],
    ['env:KEK', { kind: 'env', name: 'KEK' }],
    ['command:["/bin/kek"]', { kind: 'command', command: ['/bin/kek'] }],
    ['command: ["kek", "-f", "a b", ""]', { kind: 'command', command: ['kek', '-f', 'a b', ''] }],
  ])('%s', (text, reference) => {
    expect(parseKekReference(text)).toEqual(reference)
  })

  it.each([
    '',
    'kek',
    'file:',
    'env:',
    'command:',
    'FILE:kek',
    ' file:kek',
    HEX,
    'vault:kek',
    'command:kek -f',
    'command:"kek"',
    'command:[]',
    'command:[""]',
    'command:[1]',
    'command:["kek", 1]',
    'command:{"0":"kek"}',
    'command:[["kek"]]',
    'command:null',
  ])('%j is none, and is not shown', (text) => {
    const fault = parseKekReference(text)
    expect(fault).toMatch(/^(?:it must be file:PATH|behind command: there must be a JSON array)/)
    expect(shown(JSON.stringify(fault))).toEqual([])
  })
})

/** The same content in each of the three places. */
const PLACES: readonly (readonly [string, (content: Buffer) => readonly [KekReference, FetchKekOptions]])[] =
  [
    [
      'a file',
      (content) => [
        { kind: 'file', path: 'kek' },
        { env: {}, directory: folderWith({ kek: content }) },
      ],
    ],
    ['a variable', (content) => [{ kind: 'env', name: 'KEK' }, { env: { KEK: content.toString('latin1') } }]],
    [
      'a command',
      (content) => [
        {
          kind: 'command',
          command: [process.execPath, '-e', 'process.stdout.write(fs.readFileSync("kek"))'],
        },
        { env: {}, directory: folderWith({ kek: content }) },
      ],
    ],
  ]

describe.each(PLACES)('from %s', (place, at) => {
  it.each([
    ['64 hexadecimal digits', HEX],
    ['in upper case', HEX.toUpperCase()],
    ['with a newline', `${HEX}\n`],
    ['with CRLF', `${HEX}\r\n`],
    ['base64', BASE64],
    ['base64 with a newline', `${BASE64}\n`],
    ['base64 without its padding', BASE64.slice(0, -1)],
    ['base64url', BYTES.toString('base64url')],
    ['base64url with padding', `${BYTES.toString('base64url')}=`],
  ])('%s', (_, text) => {
    expect(fetchKek(...at(Buffer.from(text))).id).toBe(KEK.id)
  })

  // A variable holds text.
  it.skipIf(place === 'a variable')('32 bytes as they are, be one of them a newline at the end', () => {
    const bytes = Buffer.concat([BYTES.subarray(0, 31), Buffer.of(10)])
    expect(fetchKek(...at(bytes)).id).toBe(createKek(bytes).id)
    expect(fetchKek(...at(BYTES)).id).toBe(KEK.id)
  })

  it.each([
    ['nothing', '', 0],
    ['a newline', '\n', 1],
    [
      '31 bytes',
      BYTES.toString('latin1')
        .slice(1)
        .replaceAll(/[^ -~]/g, 'x'),
      31,
    ],
    ['33 bytes', 'x'.repeat(33), 33],
    ['16 bytes in hexadecimal', HEX.slice(0, 32), 32],
    ['63 digits', HEX.slice(0, 63), 63],
    ['65 digits', `${HEX}0`, 65],
    ['31 bytes in hexadecimal', HEX.slice(0, 62), 62],
    ['33 bytes in base64', Buffer.concat([BYTES, Buffer.of(1)]).toString('base64'), 44],
    ['base64 with too much padding', `${BASE64}=`, 45],
    ['base64 with a stray bit', `${BASE64.slice(0, -2)}l=`, 44],
    ['two newlines', `${HEX}\n\n`, 66],
    ['a blank in front', ` ${HEX}`, 65],
    ['quotes around', `"${HEX}"`, 66],
    ['two keys', `${HEX}\n${HEX}`, 129],
  ])('not %s', (_, text, length) => {
    expect(faultOf(() => fetchKek(...at(Buffer.from(text))))).toBe(
      `it must be exactly 32 bytes, as they are, as 64 hexadecimal digits or as base64; ${length} bytes were read`,
    )
  })
})

describe('a file', () => {
  const env = {}

  it.each([
    ['is missing', 'nowhere', 'ENOENT'],
    ['is a folder', '.', 'EISDIR'],
    ['has a name that is the key', HEX, 'ENOENT'],
    ['has a name that no file can have', 'a\0b', 'ERR_INVALID_ARG_VALUE'],
  ])('that %s', (_, path, code) => {
    const directory = folderWith({})
    expect(faultOf(() => fetchKek({ kind: 'file', path }, { env, directory }))).toBe(
      `the file cannot be read (${code})`,
    )
  })

  it.skipIf(process.geteuid?.() === 0)('that may not be read', () => {
    const directory = folderWith({ kek: HEX })
    chmodSync(join(directory, 'kek'), 0o000)
    expect(faultOf(() => fetchKek({ kind: 'file', path: 'kek' }, { env, directory }))).toContain('EACCES')
  })

  it('without end is not read to its end', () => {
    expect(faultOf(() => fetchKek({ kind: 'file', path: '/dev/zero' }, { env }))).toMatch(
      /more than 1024 bytes were/,
    )
    const directory = folderWith({ kek: Buffer.alloc(1024, 'a') })
    expect(faultOf(() => fetchKek({ kind: 'file', path: 'kek' }, { env, directory }))).toMatch(
      /; 1024 bytes were/,
    )
  })

  it('may be named absolutely, or from the folder of who names it', () => {
    const directory = folderWith({})
    mkdirSync(join(directory, 'run'))
    writeFileSync(join(directory, 'run', 'kek'), HEX)
    expect(fetchKek({ kind: 'file', path: 'run/kek' }, { env, directory }).id).toBe(KEK.id)
    expect(fetchKek({ kind: 'file', path: join(directory, 'run', 'kek') }, { env }).id).toBe(KEK.id)
  })
})

describe('a variable', () => {
  it('that is not set', () => {
    const fault = faultOf(() => fetchKek({ kind: 'env', name: HEX }, { env: { KEK: HEX } }))
    expect(fault).toBe('the environment variable is not set')
  })

  it('is not looked for in the environment of the process', () => {
    expect(faultOf(() => fetchKek({ kind: 'env', name: 'PATH' }, { env: {} }))).toContain('is not set')
  })
})

/** A command's faults are the same whether it is waited for or not. */
const WAYS = [
  [
    'waited for',
    (command: Command, options: FetchKekOptions) =>
      Promise.resolve(faultOf(() => fetchKek({ kind: 'command', command }, options))),
  ],
  [
    'not waited for',
    async (command: Command, { timeoutMs = KEK_TIMEOUT_MS, ...options }: FetchKekOptions) =>
      saidBy(
        await runCommandLater(command, { ...options, timeoutMs, maxBytes: 1024 }).then(
          () => 'it was accepted',
          (error: unknown) => error,
        ),
      ),
  ],
] as const

const env = {}

describe.each(WAYS)('a command %s', (_, faultOfCommand) => {
  it.each<readonly [string, Command, RegExp]>([
    ['is missing', ['/nowhere/kek', HEX], /^the command cannot be run \(ENOENT\)$/],
    ['is the key itself', [HEX], /^the command cannot be run \(ENOENT\)$/],
    ['is no program', ['/'], /^the command cannot be run \(EACCES\)$/],
    ['has words that none can have', ['kek', `${HEX}\0`], /^the command cannot be run \(ERR_/],
    [
      'fails',
      program(`${PRINT}; console.error('${HEX}'); process.exitCode = 3`),
      /^the command failed \(exit 3\)$/,
    ],
    [
      'is killed',
      program(`${PRINT}; process.kill(process.pid, 'SIGTERM')`),
      /^the command failed \(SIGTERM\)$/,
    ],
    [
      'prints too much',
      program(`process.stdout.write('${HEX}'.repeat(100))`),
      /^the command printed more than 1024 bytes$/,
    ],
    [
      'never stops printing',
      program(`setInterval(() => process.stdout.write('${HEX}\\n'), 1)`),
      /^the command printed more/,
    ],
    ['throws, and shows its text', program(`throw new Error('${HEX}')`), /^the command failed \(exit 1\)$/],
  ])('that %s', async (__, command, fault) => {
    expect(await faultOfCommand(command, { env })).toMatch(fault)
  })

  it.each<readonly [string, Command]>([
    ['hangs', program(`${PRINT}; setInterval(() => {}, 1000)`)],
    [
      'hangs and will not be told',
      program(`process.on('SIGTERM', () => {}); ${PRINT}; setInterval(() => {}, 1000)`),
    ],
    [
      'leaves somebody behind who holds its output',
      program(
        `child_process.spawn(process.execPath, ['-e', 'setTimeout(() => {}, 3000)'], { stdio: 'inherit' }).unref()`,
      ),
    ],
  ])('that %s is ended after its time', async (__, command) => {
    expect(await faultOfCommand(command, { env, timeoutMs: 1200 })).toBe(
      'the command did not end within 1.2 seconds',
    )
  })

  it('in a folder that is not there', async () => {
    const directory = join(folderWith({}), 'nowhere')
    expect(await faultOfCommand(program(PRINT), { env, directory })).toBe(
      'the command cannot be run (ENOENT)',
    )
  })
})

describe('a command', () => {
  it('is not given to a shell: its words stay words', () => {
    const directory = folderWith({})
    const words = ['$HOME', '`touch made`', '; touch made', '| cat', '*', 'a b', '"', "'", '\n', '']
    const script = `fs.writeFileSync('words', JSON.stringify(process.argv.slice(1))); ${PRINT}`
    expect(fetchKek(node(script, ...words), { env, directory }).id).toBe(KEK.id)
    expect(JSON.parse(readFileSync(join(directory, 'words'), 'utf8'))).toEqual(words)
    expect(() => readFileSync(join(directory, 'made'))).toThrow('ENOENT')
    expect(faultOf(() => fetchKek({ kind: 'command', command: [`echo ${HEX}`] }, { env }))).toContain(
      'ENOENT',
    )
  })

  it('gets the environment given, and nothing to read', () => {
    const script = `process.stdout.write(process.env.GIVEN + fs.readFileSync(0))`
    expect(fetchKek(node(script), { env: { GIVEN: HEX } }).id).toBe(KEK.id)
  })

  it('has its standard error discarded', () => {
    const folder = folderWith({})
    // In a process of its own, whose standard error can be read.
    const script = join(folder, 'fetch.mjs')
    const built = new URL('../../dist/stores/kek.js', import.meta.url)
    writeFileSync(
      script,
      `import { fetchKek } from '${built.href}'
      const command = [process.execPath, '-e', "console.error('told'); process.stdout.write('${HEX}')"]
      console.log(fetchKek({ kind: 'command', command }, { env: {} }).id)`,
    )
    expect(execFileSync('sh', ['-c', `'${process.execPath}' '${script}' 2>&1`]).toString()).toBe(
      `${KEK.id}\n`,
    )
  })
})

const open = (directory: string) => openKek({ kind: 'file', path: 'kek' }, { env, directory })

describe('a holder', () => {
  it('fetches when first asked, and no more', () => {
    const folder = folderWith({})
    const kek = open(folder)
    expect(faultOf(() => kek.find(KEK.id))).toContain('ENOENT')
    writeFileSync(join(folder, 'kek'), HEX)
    expect(kek.find(KEK.id)?.id).toBe(KEK.id)
    writeFileSync(join(folder, 'kek'), 'gone')
    expect(kek.find(KEK.id)?.id).toBe(KEK.id)
  })

  it('says what it insists on', () => {
    const kek = openKek({ kind: 'env', name: 'K' }, { env, keyring: 'main', plaintext: 'refused' })
    expect(kek).toMatchObject({ keyring: 'main', plaintext: 'refused' })
  })

  it('fetches again where another was asked for, and keeps the one before', async () => {
    const folder = folderWith({ kek: HEX })
    const kek = open(folder)
    expect(kek.find(KEK.id)?.id).toBe(KEK.id)
    writeFileSync(join(folder, 'kek'), KEK_BYTES.two)
    // Nobody asked for another.
    expect(await kek.refetch()).toBe(false)
    expect(kek.find(OTHER_KEK.id)).toBeUndefined()
    expect(await kek.refetch()).toBe(true)
    expect(kek.find(OTHER_KEK.id)?.id).toBe(OTHER_KEK.id)
    expect(kek.find(KEK.id)?.id).toBe(KEK.id)
  })

  it('holds two at most', async () => {
    const folder = folderWith({ kek: HEX })
    const kek = open(folder)
    expect(kek.find(KEK.id)?.id).toBe(KEK.id)
    for (let i = 0; i < 3; i++) {
      const bytes = randomBytes(32)
      writeFileSync(join(folder, 'kek'), bytes)
      expect(kek.find(createKek(bytes).id)).toBeUndefined()
      expect(await kek.refetch()).toBe(true)
      expect(kek.find(createKek(bytes).id)).toBeDefined()
    }
    expect(kek.find(KEK.id)).toBeUndefined()
  })

  it('stays as it is where fetching again fails or gives the same', async () => {
    const folder = folderWith({ kek: HEX })
    const kek = open(folder)
    expect(kek.find(OTHER_KEK.id)).toBeUndefined()
    expect(await kek.refetch()).toBe(false)
    writeFileSync(join(folder, 'kek'), 'short')
    expect(kek.find(OTHER_KEK.id)).toBeUndefined()
    expect(await kek.refetch()).toBe(false)
    expect(kek.find(KEK.id)?.id).toBe(KEK.id)
  })

  it('runs one command at a time', async () => {
    const folder = folderWith({ kek: HEX, count: '' })
    const script = `fs.appendFileSync('count', 'x'); process.stdout.write(fs.readFileSync('kek'))`
    const kek = openKek(node(script), { env, directory: folder })
    expect(kek.find(OTHER_KEK.id)).toBeUndefined()
    writeFileSync(join(folder, 'kek'), KEK_BYTES.two)
    const again = Array.from({ length: 5 }, () => kek.refetch())
    expect(await Promise.all(again)).toEqual([true, true, true, true, true])
    expect(kek.find(OTHER_KEK.id)?.id).toBe(OTHER_KEK.id)
    expect(readFileSync(join(folder, 'count'), 'utf8')).toBe('xx')
  })
})
