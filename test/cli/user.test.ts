import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { computeHa1 } from '../../src/digest/response.ts'
import { parseCredentials } from '../../src/digest/toml-credentials.ts'
import { openSqlCredentials } from '../../src/stores/sql-credentials.ts'
import { openSqlDatabase } from '../../src/stores/sql-database.ts'
import {
  createKamailioTables,
  DATABASE_PROGRAMS,
  startDatabase,
  type TestDatabase,
} from '../support/databases.ts'
import { folderWith } from '../support/folder.ts'
import { describePeers } from '../support/peers.ts'
import { xkeys, type Outcome } from '../support/xkeys.ts'

const PASSWORD = 'hunter2-secret'
const REALM = 'example.org'
const MD5 = computeHa1('MD5', 'alice', REALM, PASSWORD)
const NO_SHELL = { cwd: '.' }

const run = (words: string, cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  xkeys(words.split(' '), { cwd, env, stdin: Buffer.from(`${PASSWORD}\n`) })
const DONE = { stderr: '', exit: 0 }

describe.each(['mysql', 'postgres'] as const)('accounts in %s, by command', (engine) => {
  describePeers(engine, DATABASE_PROGRAMS[engine], () => {
    let database: TestDatabase
    let url: URL
    let env: Readonly<Record<string, string>> = {}
    beforeAll(async () => {
      database = await startDatabase(engine)
      url = new URL(database.url)
      env = { DB_PASSWORD: decodeURIComponent(url.password) }
      url.password = ''
    })
    afterAll(() => database?.close())
    const on = (): string => `--accounts ${url.href} --db-password env:DB_PASSWORD`

    it('are where a configuration says, by what its driver is told', async () => {
      const away = new URL(url)
      away.hostname = 'db.invalid'
      const socket = engine === 'mysql' ? 'socketPath' : 'host'
      const cwd = folderWith({
        'edge.toml': `${EDGE}${USERS}"${away.href}"\npassword = "env:DB_PASSWORD"\ndriver = { ${socket} = "env:SOCKET" }\n`,
      })
      await run(`user create-table ${on()}`, cwd, env)
      const words = 'user list --config edge.toml'
      expect(await run(words, cwd, { ...env, SOCKET: database.socket })).toEqual({ ...DONE, stdout: '' })
      await database.exec('DROP TABLE subscriber')
      expect(await run(words, cwd, env)).toMatchObject({
        exit: 78,
        stderr: `xkeys: users.credentials.driver.${socket}: the environment variable SOCKET is not set, or empty\n`,
      })
    })

    it('are made, found, listed, imported and removed', async () => {
      const cwd = folderWith({})
      expect(await run(`user create-table ${on()}`, cwd, env)).toEqual({
        ...DONE,
        stdout: 'made the table subscriber\n',
      })
      expect(await run(`user add alice@${REALM} ${on()} --password-file -`, cwd, env)).toMatchObject(DONE)
      const store = await openSqlCredentials({ url: database.url, timeoutMs: 15_000 })
      const found = await store.find({ username: 'alice', realm: REALM, algorithm: 'MD5' })
      await store.close()
      expect(found?.ha1?.export()).toEqual(MD5)
      const listed = await run(`user list ${on()}`, cwd, env)
      expect(listed).toEqual({ ...DONE, stdout: `alice@${REALM}  SHA-512-256, SHA-256, MD5\n` })
      await database.exec('ALTER TABLE subscriber RENAME TO other')
      if (engine === 'postgres')
        await database.exec('ALTER TABLE other RENAME CONSTRAINT subscriber_account_idx TO other_idx')
      await createKamailioTables(database)
      const ha1b = computeHa1('MD5', `bob@${REALM}`, REALM, 'b').toString('hex')
      await database.exec(
        `INSERT INTO subscriber (username, domain, password, ha1, ha1b) VALUES ('alice', '${REALM}', 'stale', '${MD5.toString('hex')}', ''), ('bob', '${REALM}', 'b', '', ''), ('carol', '${REALM}', '', '', '${ha1b}')`,
      )
      const from = `--from ${url.href} --from-password env:DB_PASSWORD`
      expect(await run(`user import ${from} --accounts users.toml`, cwd, env)).toEqual({
        ...DONE,
        stdout: 'imported 3 accounts\n',
      })
      const text = readFileSync(join(cwd, 'users.toml'), 'utf8')
      expect(text).not.toContain('stale')
      expect(statSync(join(cwd, 'users.toml')).mode & 0o777).toBe(0o600)
      const users = parseCredentials(text)
      for (const [username, password, algorithm] of [
        ['alice', PASSWORD, 'MD5'],
        ['bob', 'b', 'SHA-256'],
      ] as const) {
        const account = await users.find({ username, realm: REALM, algorithm })
        expect(account?.ha1?.export()).toEqual(computeHa1(algorithm, username, REALM, password))
      }
      expect(await run(`user remove bob@${REALM} ${on()}`, cwd, env)).toMatchObject(DONE)
      expect((await run(`user list ${on()} --json`, cwd, env)).stdout.split('\n')).toHaveLength(3)
    })

    it('a wrong password of the database is told without it', async () => {
      const { stdout, stderr, exit } = await run(`user list ${on()}`, '.', { DB_PASSWORD: 'hunter3-secret' })
      expect([stdout, exit]).toEqual(['', 78])
      expect(stderr).toMatch(
        /^xkeys: \w+:\/\/xkeys@[\d.:]+\/kamailio: the database refuses to be opened \(\w+\)\n$/,
      )
      expect(stderr).not.toContain('hunter3')
    })
  })
})

const EDGE = `keyring = "keys.toml"
[listen]
trunk = "127.0.0.1:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5080"
[agreements.main]
header = "X-Auth"
group = "a"
algorithm = "hmac-sha256"
request = "$ci"
[trunks.carrier]
sources = ["192.0.2.0/24"]
target = "192.0.2.1:5060"
agreement = "main"
`
const USERS = `[users]
domains = ["example.org"]
nonce_group = "nonces"
[users.credentials]
source = `

describe('the accounts of an edge', () => {
  it.each([
    ['users.toml', 'key --help'],
    ['sqlite:users.db', 'user create-table --accounts sqlite:users.db'],
  ])('%s are changed by its configuration', async (source, before) => {
    const cwd = folderWith({ 'edge.toml': `${EDGE}${USERS}"${source}"\n` })
    expect(await run(before, cwd)).toMatchObject(DONE)
    const on = `--config ${join(cwd, 'edge.toml')}`
    expect(await run(`user add alice@${REALM} ${on} --password-file -`, '.')).toMatchObject(DONE)
    expect(await run(`user list ${on}`, '.')).toMatchObject({
      ...DONE,
      stdout: `alice@${REALM}  SHA-512-256, SHA-256, MD5\n`,
    })
  })

  it('are in the file of SQLite itself, so that a copy of it has them', async () => {
    const cwd = folderWith({})
    expect(await run('user create-table --accounts sqlite:users.db', cwd)).toMatchObject(DONE)
    const add = `user add alice@${REALM} --accounts sqlite:users.db --password-file -`
    expect(await run(add, cwd)).toMatchObject(DONE)
    copyFileSync(join(cwd, 'users.db'), join(cwd, 'copy.db'))
    const { stdout } = await run('user list --accounts sqlite:copy.db', cwd)
    expect(stdout).toContain(`alice@${REALM}`)
  })

  it('with columns of its own are written to these', async () => {
    const cwd = folderWith({
      'edge.toml': `${EDGE}${USERS}"sqlite:users.db"\n[users.credentials.sql]\ntable = "phones"\ncolumns = { username = "name", ha1 = "hash" }\n`,
    })
    const database = await openSqlDatabase({ url: 'sqlite:users.db', folder: cwd }, 'create')
    await database.run({ text: 'CREATE TABLE phones (name TEXT, domain TEXT, hash TEXT)', values: [] })
    expect(await run(`user add alice@${REALM} --config edge.toml --password-file -`, cwd)).toMatchObject(DONE)
    const { rows } = await database.run({ text: 'SELECT * FROM phones', values: [] })
    await database.close()
    expect(rows).toEqual([['alice', REALM, MD5.toString('hex')]])
  })

  it.each([
    ['', 'users.credentials: is missing: the edge has no users'],
    [`${USERS}"flexisip:userdb.conf"\n`, 'users.credentials: "userdb.conf" is not changed by commands'],
    [
      `${USERS}"https://hook.example/"\n`,
      'users.credentials: "https://hook.example/" is not changed by commands',
    ],
    [
      `${USERS}"sqlite:a.db"\n[users.credentials.sql]\nquery = "SELECT p FROM t WHERE n = :id"\n`,
      'users.credentials: accounts that a query of your own finds are not changed by commands',
    ],
  ])('are not where a command could change them: %j', async (users, told) => {
    const cwd = folderWith({ 'edge.toml': EDGE + users })
    const { stderr, exit } = await run('user list --config edge.toml', cwd)
    expect([stderr, exit]).toEqual([`xkeys: edge.toml: ${told}\n`, 78])
  })

  it('one place is named, and not two', async () => {
    expect(await run('user list --config edge.toml --accounts users.toml', '.')).toMatchObject({ exit: 2 })
  })
})

describe('a password', () => {
  it('is no word of the command', async () => {
    const { stderr, exit } = await xkeys(
      ['user', 'add', `alice@${REALM}`, PASSWORD, '--accounts', 'x.toml'],
      NO_SHELL,
    )
    expect(exit).toBe(2)
    expect(stderr).not.toContain(PASSWORD)
  })

  it.each([
    ['add --accounts users.toml', true],
    ['add --accounts users.toml --plain', false],
  ])('is stored as hashes alone, unless it is asked for: user %s', async (words, isHidden) => {
    const cwd = folderWith({ password: PASSWORD })
    const [verb, ...rest] = words.split(' ')
    const { stdout, stderr } = await run(
      `user ${verb} alice@${REALM} ${rest.join(' ')} --password-file password`,
      cwd,
    )
    expect(stdout + stderr).not.toContain(PASSWORD)
    const text = readFileSync(join(cwd, 'users.toml'), 'utf8')
    expect(text.includes(PASSWORD)).toBe(!isHidden)
    expect(parseCredentials(text).find({ username: 'alice', realm: REALM, algorithm: 'MD5' })).toMatchObject({
      username: 'alice',
    })
  })

  it('that is generated is what was stored', async () => {
    const cwd = folderWith({})
    const { stdout } = await run(`user add alice@${REALM} --accounts users.toml --generate`, cwd)
    const [, password = ''] = stdout.split('\n')
    const store = parseCredentials(readFileSync(join(cwd, 'users.toml'), 'utf8'))
    const account = await store.find({ username: 'alice', realm: REALM, algorithm: 'SHA-256' })
    expect(account?.ha1?.export()).toEqual(computeHa1('SHA-256', 'alice', REALM, password))
  })

  it.each([Buffer.from([0xff, 0xfe]), Buffer.from('a'.repeat(256)), Buffer.from('a\0b')])(
    'that no phone could send is refused: %#',
    async (bytes) => {
      const cwd = folderWith({ password: bytes })
      expect(
        await run(`user add alice@${REALM} --accounts users.toml --password-file password`, cwd),
      ).toMatchObject({ exit: 2, stdout: '' })
    },
  )

  it('of an account with comments about leaves these alone, and line ends too', async () => {
    const before = [
      '# one',
      '[[users]]  # two',
      '  username = "alice"',
      '  password = "old"  # three',
      `  realm = "${REALM}"`,
      '  # four',
      '  [users.attributes]',
      '  plan = "gold"',
      '# five',
      '',
    ].join('\r\n')
    const cwd = folderWith({})
    writeFileSync(join(cwd, 'users.toml'), before, { mode: 0o600 })
    expect(
      await run(`user passwd alice@${REALM} --accounts users.toml --password-file -`, cwd),
    ).toMatchObject(DONE)
    const after = readFileSync(join(cwd, 'users.toml'), 'utf8')
    const kept = before.split('\r\n').filter((line) => !line.includes('password'))
    expect(after.split('\r\n').filter((line) => !/ha1|# three/.test(line))).toEqual(kept)
    expect(after).toContain('\r\n  # three\r\n')
    expect(after.match(/(?<!\r)\n/)).toBeNull()
    expect(await run(`user remove alice@${REALM} --accounts users.toml`, cwd)).toMatchObject(DONE)
    expect(readFileSync(join(cwd, 'users.toml'), 'utf8')).toBe('# one\r\n# five\r\n')
  })
})

describePeers('a password that is typed', ['script'], () => {
  const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

  /** Runs the command at a terminal; types an answer at each prompt. */
  async function type(
    cwd: string,
    answers: readonly string[],
  ): Promise<{ screen: string; exit: number | null }> {
    const command = `${process.execPath} ${MAIN} user add alice@${REALM} --accounts users.toml`
    const child = spawn('script', ['-qec', command, '/dev/null'], { cwd, stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let screen = ''
    let prompts = 0
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      screen += chunk
      for (; prompts < (screen.match(/(?:Password|Again): /g) ?? []).length; prompts++)
        child.stdin.write(answers[prompts] ?? '\u0003')
    })
    const [exit] = (await once(child, 'close')) as [number | null]
    return { screen, exit }
  }

  it('is not shown, and may be corrected', async () => {
    const cwd = folderWith({})
    const typed = await type(cwd, [`${PASSWORD}x\u007f\r`, `${PASSWORD}\r`])
    expect(typed).toEqual({ screen: `Password: \r\nAgain: \r\nadded alice@${REALM}\r\n`, exit: 0 })
    const store = parseCredentials(readFileSync(join(cwd, 'users.toml'), 'utf8'))
    const account = await store.find({ username: 'alice', realm: REALM, algorithm: 'MD5' })
    expect(account?.ha1?.export()).toEqual(MD5)
  })

  it.each([
    ['twice differently', [`${PASSWORD}\r`, 'other\r'], 'the two passwords differ'],
    ['not at all', ['\r'], 'the password is empty'],
    ['and given up', [`${PASSWORD}\u0003`], 'no password was typed'],
  ])('%s changes nothing', async (_, answers, told) => {
    const cwd = folderWith({})
    const { screen, exit } = await type(cwd, answers)
    expect(exit).toBe(2)
    expect(screen).toContain(`xkeys: ${told}`)
    expect(screen).not.toContain(PASSWORD)
    expect(statSync(join(cwd, 'users.toml'), { throwIfNoEntry: false })).toBeUndefined()
  })
})
