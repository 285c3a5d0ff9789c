import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { once } from 'node:events'
import { folderWith } from '../support/folder.ts'
import { KEK_BYTES, PLAIN, sealed } from '../support/sealed.ts'
import { splitCommand } from '../support/transcript.ts'
import { repositoryFile, spawnXkeys, xkeys } from '../support/xkeys.ts'

const COMMANDS = [
  'template',
  'sign',
  'verify',
  'key generate',
  'key add',
  'key list',
  'key show',
  'key retire',
  'key revoke',
  'key prune',
  'keyring list',
  'keyring import-kamailio',
  'keyring export-kamailio',
  'rotate start',
  'rotate status',
  'rotate confirm',
  'rotate promote',
  'rotate abort',
  'fleet status',
  'fleet seed',
  'fleet forget',
  'fleet export',
  'fleet audit',
  'seal',
  'unseal',
  'user add',
  'user passwd',
  'user list',
  'user remove',
  'user import',
  'user create-table',
  'check',
  'run',
]

const ON = '--group trunk-a --config edge.toml'
const END = `key retire 2026-q3 ${ON} --force`
const START = `rotate start ${ON}`
/** What an example of a rotation finds done in the demo's keyring. */
const DONE: Readonly<Record<string, readonly string[]>> = {
  'rotate start': [END],
  'rotate confirm': [END, START],
  'rotate promote': [END, START],
  'rotate abort': [END],
}
/** Steps that wait for evidence: without a node that has reported they refuse. */
const WAITING = new Set(['rotate promote', 'key retire'])

async function askHelp(command: string): Promise<string> {
  const { stdout, stderr, exit } = await xkeys([...command.split(' ').filter(Boolean), '--help'], {
    cwd: '.',
  })
  expect([stderr, exit]).toEqual(['', 0])
  return stdout
}

const helps = new Map<string, Promise<string>>()

/** The help of a command, asked for once. */
function helpOf(command: string): Promise<string> {
  const help = helps.get(command) ?? askHelp(command)
  helps.set(command, help)
  return help
}

/** Names under `Commands:` of a help text. */
const subcommands = (help: string): readonly string[] => {
  const [, section = ''] = help.split('\nCommands:\n')
  return section
    .split('\n\n')[0]!
    .split('\n')
    .map((line) => /^ {2}([a-z-]+)/.exec(line)?.[1] ?? 'help')
    .filter((name) => name !== 'help')
}

async function leaves(command: string): Promise<string[]> {
  const children = subcommands(await helpOf(command))
  if (children.length === 0) return [command]
  const nested = await Promise.all(children.map((child) => leaves(`${command} ${child}`.trim())))
  return nested.flat()
}

const MESSAGE = [
  'INVITE sip:bob@biloxi.example SIP/2.0',
  'Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK776',
  'Max-Forwards: 70',
  'From: <sip:alice@atlanta.example>;tag=19',
  'To: <sip:bob@biloxi.example>',
  'Call-ID: a84b4c76',
  'CSeq: 1 INVITE',
  '',
  '',
].join('\r\n')

/** What the examples find: the repository's keyrings and example configuration, on free ports. */
function workplace(): string {
  const edge = repositoryFile('examples/demo/edge.toml')
    .replace('../../keyrings', 'keyrings')
    .replace(/:(?:15060|15062|19464)"/g, ':0"')
    .replace('level = "warn"', 'level = "info"')
    .replace('\n[listen]', 'state = "state"\n\n[listen]')
  const kamailio =
    'modparam("auth_xkeys", "xkey", "id=a;name=b;value=xks_pQ4vZr8sTn1wHk6yLb3xJd9fGm2cVa7eUoWiNqRtYuS")\n'
  const folder = folderWith({
    'invite.sip': MESSAGE,
    'edge.toml': edge,
    'kamailio.cfg': kamailio,
    kek: KEK_BYTES.one,
    'trunks.toml': PLAIN,
    'sealed.toml': sealed(),
    'accounts.toml': '[[users]]\nusername = "bob"\nrealm = "example.org"\npassword = "worthless"\n',
    'userdb.conf': 'version:1\ncarol@example.org clrtxt:worthless ;\n',
  })
  cpSync(new URL('../../keyrings/', import.meta.url), join(folder, 'keyrings'), { recursive: true })
  return folder
}

describe('help', () => {
  it('names every command there is', async () => {
    expect(await leaves('')).toEqual(COMMANDS)
    // So many commands side by side take their time on a busy machine.
  }, 60_000)

  describe.each(COMMANDS)('of %s', (command) => {
    let help = ''
    beforeAll(async () => {
      help = await helpOf(command)
    })
    const example = (): string => /\nExample:\n {2}(xkeys .*)\n/.exec(help)?.[1] ?? 'none'

    it('says what it does, with an example of it', () => {
      expect(help).toMatch(new RegExp(`^Usage: xkeys ${command}`))
      expect(help.split('\n\n')[1]).toMatch(/^[A-Z][^]*\.$/)
      expect(example().startsWith(`xkeys ${command}`)).toBe(true)
      const options = help.split('\nOptions:\n')[1]!.split('\n\n')[0]!
      const bare = options
        .split('\n')
        .filter((line) => /^ {2}-/.test(line) && !/^ {2}-\S.* {2,}\S/.test(line))
      expect(bare).toEqual([])
    })

    // The edge's own command is run below: it does not end by itself. Those of a fleet need its store: fleet.test.ts.
    // eslint-disable-next-line vitest/no-conditional-tests
    if (command === 'run' || command.startsWith('fleet ')) return
    it('has an example that works', async () => {
      const cwd = workplace()
      const { args, stdin } = splitCommand(example())
      if (stdin === 'signed.sip') {
        const sign = splitCommand(
          /\n {2}(xkeys .*)\n/.exec((await helpOf('sign')).split('Example:')[1]!)![1]!,
        )
        const signed = await xkeys(sign.args.slice(1), { cwd, stdin: Buffer.from(MESSAGE) })
        writeFileSync(join(cwd, stdin), signed.stdout)
      }
      for (const before of DONE[command] ?? []) await xkeys(before.split(' '), { cwd })
      const input = stdin === undefined ? undefined : readFileSync(join(cwd, stdin))
      const { stdout, stderr, exit } = await xkeys(args.slice(1), { cwd, stdin: input })
      const told = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('xkeys: warning: '))
      // Of what waits for evidence the example shows the refusal.
      const waits = told.some((line) => line.startsWith('xkeys: trunk-a: ')) && exit === 1
      expect(WAITING.has(command) ? waits : told).toEqual(WAITING.has(command) ? true : [])
      if (WAITING.has(command)) return
      expect(exit).toBe(0)
      const written = args.includes('--out') ? readFileSync(join(cwd, 'keyring.toml'), 'utf8') : stdout
      expect(written).not.toBe('')
    })
  })

  it('of run has an example that works, too', async () => {
    const { args } = splitCommand(/\n {2}(xkeys run .*)\n/.exec(await helpOf('run'))![1]!)
    const child = spawnXkeys(args.slice(1), { cwd: workplace() })
    let log = ''
    while (!log.includes('"event":"started"')) log += String((await once(child.stdout, 'data'))[0])
    child.stdout.resume()
    child.kill('SIGTERM')
    expect(await once(child, 'close')).toEqual([0, null])
  })

  it.each(['', 'key', 'keyring', 'rotate', 'fleet', 'user'])(
    'is shown on standard error, exit 2, where "xkeys %s" lacks its command',
    async (command) => {
      const { stdout, stderr, exit } = await xkeys(command.split(' ').filter(Boolean), { cwd: '.' })
      expect([stdout, exit]).toEqual(['', 2])
      expect(stderr).toBe(await helpOf(command))
    },
  )
})
