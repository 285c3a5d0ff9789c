import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import libsql from 'libsql'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadConfig, startService, type Service } from '../../src/edge/service.ts'
import { ConfigError, formatIssue } from '../../src/errors.ts'
import { PASSWORD } from '../digest/client.ts'
import { answerTo } from '../support/edge-rig.ts'
import { parseExposition } from '../support/exposition.ts'
import { folderWith } from '../support/folder.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { openPeer, type UdpPeer } from '../support/udp-peer.ts'
import { json, serve } from '../stores/http-server.ts'
import { challengeOf, credentialsLine, openPhone, phoneRequest, USERS } from '../support/users-rig.ts'

const KEYS = `
[[groups.trunk-a.keys]]
name = "k1"
value = "${SECRETS.old}"
[[groups.nonces.keys]]
name = "n1"
value = "${SECRETS.other}"
`

const configOf = (upstream: UdpPeer, users: string): string => `
keyring = "keys.toml"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "${upstream.at}"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "trunk-a"
algorithm = "hmac-sha256"
request = "$rm:$ru:$ci"
[trunks.carrier]
sources = ["192.0.2.1"]
target = "192.0.2.1:5060"
agreement = "main"
[users]
domains = ["example.org"]
nonce_group = "nonces"
algorithms = ["SHA-256", "MD5"]
${users}
`

interface Running {
  readonly service: Service
  readonly upstream: UdpPeer
  readonly phone: UdpPeer
  readonly trunkAt: { readonly address: string; readonly port: number }
  readonly log: () => string
  metric(name: string): Promise<number | undefined>
}

async function run(
  folder: string,
  users: string,
  env: Readonly<Record<string, string>> = {},
  whom: 'trunks, too' | 'phones alone' = 'trunks, too',
): Promise<Running> {
  const upstream = await openPeer()
  onTestFinished(() => upstream.close())
  writeFileSync(join(folder, 'keys.toml'), KEYS)
  const text = configOf(upstream, users)
  const [head = '', rest = ''] = text.split(/^\[agreements[^]*(?=^\[users\])/m)
  writeFileSync(join(folder, 'edge.toml'), whom === 'phones alone' ? head + rest : text)
  let lines = ''
  const loaded = loadConfig(join(folder, 'edge.toml'), env, new Date())
  const service = await startService({
    loaded,
    version: 'test',
    logTo: { write: (line: string) => void (lines += line) },
  })
  onTestFinished(() => service.stop())
  return {
    service,
    upstream,
    phone: await openPhone(),
    trunkAt: service.edge.sockets.trunk.local,
    log: () => lines,
    async metric(name) {
      return parseExposition(await service.metrics.registry.metrics()).get(name)?.samples[0]?.value
    },
  }
}

/** Registers with an answer to the challenge of an algorithm; what the edge itself answers. */
async function tries({ phone, trunkAt }: Running, password = PASSWORD, algorithm = 'SHA-256'): Promise<void> {
  const own = { callId: randomUUID() }
  await phone.send(phoneRequest('REGISTER', own), trunkAt)
  const challenge = challengeOf(await phone.receive(), algorithm)
  const line = credentialsLine(challenge, 'REGISTER', 'sip:example.org', { password })
  await phone.send(phoneRequest('REGISTER', { ...own, add: [line] }), trunkAt)
}

/** Registers, and is refused by the edge with a status. */
async function refused(running: Running, password?: string, algorithm?: string): Promise<number | undefined> {
  await tries(running, password, algorithm)
  return (await running.phone.receive()).message.status
}

/** Registers, and gets the answer of the upstream. */
async function registers(
  running: Running,
  password?: string,
  algorithm?: string,
): Promise<number | undefined> {
  await tries(running, password, algorithm)
  const { bytes } = await running.upstream.receive()
  await running.upstream.send(answerTo(bytes, '200 OK'), running.service.edge.sockets.upstream.local)
  return (await running.phone.receive()).message.status
}

describe('accounts of a running edge', () => {
  it('in a TOML file are read again when asked; one that is broken changes nothing', async () => {
    const folder = folderWith({ 'users.toml': USERS })
    const running = await run(folder, '[users.credentials]\nsource = "users.toml"')
    expect(await registers(running)).toBe(200)
    writeFileSync(join(folder, 'users.toml'), USERS.replaceAll(PASSWORD, 'new password'))
    running.service.reload()
    expect(running.log()).toContain('"event":"accounts-loaded"')
    writeFileSync(join(folder, 'users.toml'), '[[users]]\nusername = "x"\npassword = "hidden-secret"')
    running.service.reload()
    expect(running.log()).toMatch(/"event":"accounts-refused".*"file":"users\.toml"/)
    expect(running.log()).not.toContain('hidden-secret')
    expect(await registers(running, 'new password')).toBe(200)
    expect(await running.metric('xkeys_digest_backend_up')).toBe(1)
  })

  it('are all that an edge for phones alone needs', async () => {
    const folder = folderWith({ 'users.toml': USERS })
    const running = await run(folder, '[users.credentials]\nsource = "users.toml"', {}, 'phones alone')
    expect(await registers(running)).toBe(200)
    const { upstream, service } = running
    await upstream.send(phoneRequest('INVITE', { sentBy: upstream.at }), service.edge.sockets.upstream.local)
    expect((await upstream.receive()).message.status).toBe(404)
  })

  it('in a file as Flexisip writes it', async () => {
    const folder = folderWith({
      accounts: `version:1\n\nalice@example.org clrtxt:${PASSWORD.replace(' ', '')} ;\n`,
    })
    const running = await run(folder, '[users.credentials]\nsource = "flexisip:accounts"')
    expect(await registers(running, PASSWORD.replace(' ', ''))).toBe(200)
  })

  it('in SQLite are looked up once and remembered; a database that goes is 503', async () => {
    const folder = folderWith({})
    const database = new libsql(join(folder, 'accounts.db'))
    onTestFinished(() => void database.close())
    database.exec('create table subscriber (username text, domain text, password text, ha1 text, ha1b text)')
    const ha1 = createHash('md5').update(`alice:example.org:${PASSWORD}`).digest('hex')
    database.prepare('insert into subscriber values (?, ?, ?, ?, ?)').run('alice', 'example.org', '', ha1, '')
    const running = await run(
      folder,
      'realms = { "example.org" = { algorithms = ["MD5"] } }\n[users.credentials]\nsource = "sqlite:accounts.db"',
    )
    expect(running.log()).not.toContain('no column for it')
    const offering = await run(folder, '[users.credentials]\nsource = "sqlite:accounts.db"')
    expect(offering.log()).toContain('SHA-256 is offered, and the accounts have no column for it')
    expect(await registers(running, PASSWORD, 'MD5')).toBe(200)
    expect(await registers(running, PASSWORD, 'MD5')).toBe(200)
    expect(await running.metric('xkeys_digest_backend_cache_hits_total')).toBe(1)
    expect(await running.metric('xkeys_digest_backend_cache_misses_total')).toBe(1)

    database.exec('drop table subscriber')
    running.service.reload()
    expect(await refused(running, PASSWORD, 'MD5')).toBe(503)
    expect(await running.metric('xkeys_digest_backend_up')).toBe(0)
    expect(await running.metric('xkeys_digest_backend_failures_total')).toBe(1)
    expect(running.log()).toContain('"event":"accounts-down","kind":"sql"')
  })

  it('at a service that decides: it is asked with its secrets, and believed', async () => {
    const seen: { headers: NodeJS.Dict<string | string[]>; body: Record<string, unknown> }[] = []
    let answer = '{"status":"ok"}'
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')))
      request.on('end', () => {
        seen.push({ headers: request.headers, body: JSON.parse(body) as Record<string, unknown> })
        response.end(answer)
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as { port: number }
    const folder = folderWith({ secret: 'hook-password\n' })
    const running = await run(
      folder,
      `[users.credentials]
source = "http://127.0.0.1:${port}/other"
username = "edge"
password = "file:secret"
http = { signing_secret = "env:SIGNING", hooks = { "example.org" = "http://127.0.0.1:${port}/hook" } }`,
      { SIGNING: 'signing-secret' },
    )
    expect(await registers(running)).toBe(200)
    expect(seen[0]?.body).toMatchObject({ method: 'REGISTER', username: 'alice', realm: 'example.org' })
    expect(seen[0]?.headers['authorization']).toBe(
      `Basic ${Buffer.from('edge:hook-password').toString('base64')}`,
    )
    expect(seen[0]?.headers['jambonz-signature']).toMatch(/^t=\d+,v1=[0-9a-f]{64}$/)
    answer = '{"status":"fail","msg":"no"}'
    expect(await refused(running)).toBe(403)
    answer = 'nonsense'
    expect(await refused(running)).toBe(503)
    expect(await running.metric('xkeys_digest_backend_failures_total')).toBe(1)
    await vi.waitFor(() => expect(running.log()).toContain('"event":"accounts-down"'))
    for (const secret of ['hook-password', 'signing-secret']) expect(running.log()).not.toContain(secret)
  })
})

/** What jambonz keeps of services, as far as it is asked for. */
const JAMBONZ = [
  'create table webhooks (webhook_sid text, url text, username text, password text)',
  'create table accounts (sip_realm text, registration_hook_sid text, webhook_secret text)',
]
const FROM_DATABASE = `[users.credentials]
source = "sqlite:jambones.db"
[users.credentials.http]
hooks_query = """
select url, username, password, webhook_secret as secret from accounts
join webhooks on webhook_sid = registration_hook_sid where sip_realm = :realm"""
`

describe('services that a database names by realm', () => {
  it('are asked with what it says of them, and remembered, as are realms without one, until SIGHUP', async () => {
    const service = await serve(json({ status: 'ok' }))
    const folder = folderWith({})
    const database = new libsql(join(folder, 'jambones.db'))
    onTestFinished(() => void database.close())
    for (const statement of JAMBONZ) database.exec(statement)
    const running = await run(folder, FROM_DATABASE)
    expect(await refused(running)).toBe(403)
    database
      .prepare('insert into webhooks values (?, ?, ?, ?)')
      .run('1', `${service.url}/one`, 'edge', 'hook-password')
    database.prepare('insert into accounts values (?, ?, ?)').run('example.org', '1', 'webhook-secret')
    expect(await refused(running)).toBe(403)
    expect(service.asked).toEqual([])

    running.service.reload()
    expect(await registers(running)).toBe(200)
    const { headers, body } = service.asked[0]!
    expect(JSON.parse(body)).toMatchObject({ username: 'alice', realm: 'example.org' })
    expect(headers['authorization']).toBe(`Basic ${Buffer.from('edge:hook-password').toString('base64')}`)
    expect(headers['jambonz-signature']).toMatch(/^t=\d+,v1=[0-9a-f]{64}$/)

    database.prepare('update webhooks set url = ?').run(`${service.url}/two`)
    expect(await registers(running)).toBe(200)
    running.service.reload()
    expect(await registers(running)).toBe(200)
    expect(service.asked.map(({ path }) => path)).toEqual(['/one', '/one', '/two'])

    database.prepare('update webhooks set url = ?').run('file:///etc/passwd')
    running.service.reload()
    expect(await refused(running)).toBe(503)
    expect(await running.metric('xkeys_digest_backend_up')).toBe(1)
    database.exec('drop table webhooks')
    expect(await refused(running)).toBe(503)
    expect(await running.metric('xkeys_digest_backend_up')).toBe(0)
    expect(running.log()).toContain('"event":"accounts-down","kind":"decision"')
    for (const secret of ['hook-password', 'webhook-secret', 'passwd'])
      expect(running.log()).not.toContain(secret)
  })
})

async function issuesOf(files: Readonly<Record<string, string>>, users: string): Promise<readonly string[]> {
  const folder = folderWith(files)
  try {
    const { service } = await run(folder, users)
    await service.stop()
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.issues.map(formatIssue)
    throw error
  }
}

describe('a configuration whose accounts cannot be used', () => {
  it.each([
    [
      'a file that is not there',
      {},
      '[users.credentials]\nsource = "users.toml"',
      ['users.credentials.source: "users.toml" cannot be read (ENOENT)'],
    ],
    [
      'faults in the file, with its name',
      { 'users.toml': '[[users]]\nusername = "x"\n' },
      '[users.credentials]\nsource = "users.toml"',
      [
        'users.toml: line 1: users[0].realm: is missing',
        expect.stringMatching(/^users\.toml: line 1: users\[0\]: has no secret/),
      ],
    ],
    [
      'secrets that are not there',
      {},
      '[users.credentials]\nsource = "https://h.example/"\nusername = "u"\npassword = "env:NOWHERE"\nhttp.signing_secret = "file:nowhere"',
      [
        'users.credentials.password: the environment variable NOWHERE is not set, or empty',
        'users.credentials.http.signing_secret: the file "nowhere" cannot be read (ENOENT)',
      ],
    ],
    [
      'what its driver should be told that is not there',
      {},
      '[users.credentials]\nsource = "mysql://u@db/k"\npassword = "env:NOWHERE"\ndriver = { ssl = { ca = "file:nowhere" } }',
      [
        'users.credentials.password: the environment variable NOWHERE is not set, or empty',
        'users.credentials.driver.ssl.ca: the file "nowhere" cannot be read (ENOENT)',
      ],
    ],
    [
      'a database that names no services',
      { 'jambones.db': '' },
      FROM_DATABASE,
      ['users.credentials.http.hooks_query: no such table: accounts'],
    ],
    [
      'a database without the table',
      { 'accounts.db': '' },
      '[users.credentials]\nsource = "sqlite:accounts.db"',
      [expect.stringMatching(/^users\.credentials\./)],
    ],
  ])('is refused: %s', async (_, files, users, expected) => {
    expect(await issuesOf(files, users)).toEqual(expected)
  })

  it('is refused for a keyring without the group of the nonces, too', () => {
    const folder = folderWith({
      'users.toml': USERS,
      'keys.toml': KEYS.replace('groups.nonces', 'groups.other'),
      'edge.toml': configOf({ at: '127.0.0.1:9' } as UdpPeer, '[users.credentials]\nsource = "users.toml"'),
    })
    expect(() => loadConfig(join(folder, 'edge.toml'), {}, new Date())).toThrow(
      'users.nonce_group: the group "nonces" is not in the keyring',
    )
  })
})
