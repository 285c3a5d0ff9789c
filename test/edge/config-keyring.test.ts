import { describe, expect, it } from 'vitest'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { fetchTable } from '../../src/edge/secret-reference.ts'
import { loadConfig } from '../../src/edge/service.ts'
import { formatIssue } from '../../src/errors.ts'
import { parseToml, type TomlTable } from '../../src/toml.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'
import { join } from 'node:path'

const REST = `
[listen]
trunk = "127.0.0.1:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5080"
[agreements.main]
header = "X-Auth"
group = "gw"
algorithm = "hmac-sha256"
request = "$rm:$ru"
[trunks.carrier]
sources = ["127.0.0.2"]
target = "127.0.0.2:5060"
agreement = "main"
`
const KEK = '[kek]\nfrom = "file:kek"\n'
const URL = 'redis://10.0.0.9:6379/0'
const read = (head: string) => parseEdgeConfig(head + REST)
const issuesOf = (head: string): readonly string[] => errorOf(() => read(head)).issues.map(formatIssue)

describe('a shared keyring', () => {
  it('needs one line, and a name of its own where others share the Redis', () => {
    const simple = read(`keyring = "${URL}"\nstate = "s"\n${KEK}`)
    expect(simple.keyring).toEqual({ source: URL, name: 'xkeys', redis: {} })
    expect(simple.kek?.keyring).toBe('xkeys')
    const named = read(`state = "s"\n[keyring]\nsource = "${URL}"\nname = "trunks"\n${KEK}`)
    expect(named.keyring).toMatchObject({ name: 'trunks' })
    expect(named.kek?.keyring).toBe('trunks')
    const sealedAs = read(`keyring = "${URL}"\nstate = "s"\n${KEK}sealed_as = "trunks"\n`)
    expect(sealedAs.keyring).toMatchObject({ name: 'trunks' })
  })

  it.each([
    'redis://redis.example',
    'rediss://redis.example:6380/2',
    'unix:/run/redis.sock',
    'redis://[::1]:6379',
  ])('may be at %s', (source) => {
    expect(read(`keyring = "${source}"\nstate = "s"\n${KEK}`).keyring).toMatchObject({ source })
  })

  it('a file as a table is a file', () => {
    expect(read('[keyring]\nsource = "k.toml"\n').keyring).toBe('k.toml')
    expect(read(`keyring = "k.toml"\n${KEK}sealed_as = "x"\n`).kek?.keyring).toBe('x')
  })

  it.each<readonly [string, string, readonly string[]]>([
    [
      'what it needs',
      `keyring = "${URL}"\n`,
      [
        'kek: it is missing: a shared keyring is sealed',
        'state: it is missing: there a node keeps its copy of a shared keyring, to start without the store',
      ],
    ],
    [
      'two names',
      `state = "s"\n[keyring]\nsource = "${URL}"\nname = "a"\n${KEK}sealed_as = "b"\n`,
      ['line 7: kek.sealed_as: it must be "a", as keyring.name says, or be left out'],
    ],
    [
      'what a file has no use for',
      '[keyring]\nsource = "k.toml"\nname = "a"\n[keyring.redis]\npassword = "x"\n',
      [
        'line 3: keyring.name: a file has none: sealed_as of [kek] says its name',
        'line 4: keyring.redis: the keyring is a file: it needs no Redis',
      ],
    ],
    [
      'another scheme',
      'keyring = "http://redis.example/k"\n',
      ['line 1: keyring: it must be a path, or begin with redis://, rediss:// or unix:/'],
    ],
    [
      'settings that are the client’s own, and lists that are none',
      `state = "s"\n[keyring]\nsource = "${URL}"\n[keyring.redis]\nhost = "x"\ncommandTimeout = 0\n${KEK}`,
      [
        'line 5: keyring.redis.host: it is set by xkeys itself: take it out',
        'line 6: keyring.redis.commandTimeout: it must be a number of milliseconds, from 1 to 60000',
      ],
    ],
    [
      'nodes that are no list',
      `state = "s"\n[keyring]\nsource = "${URL}"\n[keyring.redis]\nnodes = "a:1"\n${KEK}`,
      ['line 5: keyring.redis.nodes: it must be a list of "host:port"'],
    ],
    [
      'nodes without a port',
      `state = "s"\n[keyring]\nsource = "${URL}"\n[keyring.redis]\nnodes = ["a"]\n${KEK}`,
      ['line 5: keyring.redis.nodes: it must be written as host:port'],
    ],
    [
      'a slip',
      `state = "s"\n[keyring]\nsuorce = "k"\n`,
      [
        'line 2: keyring.source: it is missing',
        'line 3: keyring.suorce: unknown setting; did you mean source?',
      ],
    ],
  ])('%s: all is told, with its line', (_, head, issues) => {
    expect(issuesOf(head)).toEqual(issues)
  })

  it('tells its faults with all others, and never a password', () => {
    const told = issuesOf('keyring = "redis://:hidden@h:6379/x"\nstrict_keys = 5\n')
    expect(told).toHaveLength(4)
    expect(told.join()).not.toContain('hidden')
    const doubted = read(`keyring = "redis://:hidden@h:6379/0"\nstate = "s"\n${KEK}`).warnings.map(
      formatIssue,
    )
    expect(doubted).toContain(
      'line 1: keyring: a password stands in it: [keyring.redis] takes password = "env:NAME" or "file:PATH"',
    )
    expect(doubted.join()).not.toContain('hidden')
  })

  it('has what it refers to when it is loaded', () => {
    const head = `state = "s"\n[keyring]\nsource = "${URL}"\n[keyring.redis]\npassword = "env:NONE"\ntls = { ca = "file:none.pem" }\n${KEK}`
    const folder = folderWith({ 'edge.toml': head + REST })
    const { issues } = errorOf(() => loadConfig(join(folder, 'edge.toml'), {}, new Date()))
    expect(issues.map(formatIssue)).toEqual([
      'keyring.redis.password: the environment variable NONE is not set, or empty',
      'keyring.redis.tls.ca: the file "none.pem" cannot be read (ENOENT)',
    ])
  })
})

function tableOf(toml: string): TomlTable {
  const parsed = parseToml(toml)
  if (!parsed.ok) throw new Error('no TOML')
  return parsed.value
}

describe('the settings of the client', () => {
  it('are as they stand there, with what they refer to', () => {
    const folder = folderWith({ password: 'from a file\n', 'ca.pem': 'line\nline\n' })
    const table = tableOf(
      'username = "u"\npassword = "file:password"\ndb = 3\nlist = ["env:A", { b = "env:A" }]\ntls = { ca = "file:ca.pem", servername = "file" }\n',
    )
    expect(fetchTable(table, ['keyring', 'redis'], { env: { A: 'from the environment' }, folder })).toEqual({
      username: 'u',
      password: 'from a file',
      db: 3,
      list: ['from the environment', { b: 'from the environment' }],
      tls: { ca: 'line\nline', servername: 'file' },
    })
  })

  it('tell each reference that leads nowhere', () => {
    const table = tableOf('a = "env:X"\nb = ["file:nowhere", { c = "env:no name" }]')
    const { issues } = errorOf(() => fetchTable(table, ['keyring', 'redis'], { env: {}, folder: '.' }))
    expect(issues.map(({ path }) => path)).toEqual([
      'keyring.redis.a',
      'keyring.redis.b[0]',
      'keyring.redis.b[1].c',
    ])
  })
})
