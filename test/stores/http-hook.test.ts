import { createHmac } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { HookDecision, HookQuery } from '../../src/digest/credential-hook.ts'
import { readCredentials } from '../../src/digest/credentials.ts'
import { parseAuth } from '../../src/digest/header.ts'
import { hookQuery } from '../../src/digest/hook-query.ts'
import { computeHa1, computeResponse } from '../../src/digest/response.ts'
import { viewOf } from '../../src/message/view.ts'
import { createHttpHook, type HttpHook, type HttpHookOptions } from '../../src/stores/http-hook.ts'
import type { HookTarget } from '../../src/stores/http-hook-target.ts'
import { INJECTIONS } from '../support/contracts/credentials.ts'
import { parsed, type Line } from '../support/messages.ts'
import { requestBytes } from '../digest/stage.ts'
import { errorOf } from '../keyring/error-of.ts'
import { json, serve, silent, type Asked, type HttpService } from './http-server.ts'

/** The example that jambonz publishes. */
const PUBLISHED = {
  method: 'REGISTER',
  expires: 3600,
  scheme: 'digest',
  username: 'john',
  realm: 'jambonz.org',
  nonce: '157590482938000',
  uri: 'sip:172.37.0.10:5060',
  response: 'be641cf7951ff23ab04c57907d59f37d',
  qop: 'auth',
  nc: '00000001',
  cnonce: '6b8b4567',
  algorithm: 'MD5',
}
const SOURCE = { address: '192.0.2.7', port: 5062 }

/** The Authorization that the example comes from, changed. */
function authorization(change: Readonly<Record<string, string | null>> = {}): string {
  const { username, realm, nonce, uri, response, qop, nc, cnonce, algorithm } = PUBLISHED
  const params = {
    username: `"${username}"`,
    realm: `"${realm}"`,
    nonce: `"${nonce}"`,
    uri: `"${uri}"`,
    response: `"${response}"`,
    cnonce: `"${cnonce}"`,
    nc,
    qop,
    algorithm,
    ...change,
  }
  return `Digest ${Object.entries(params)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')}`
}

function queryOf(
  change: Readonly<Record<string, string | null>> = {},
  add: readonly Line[] = [['Contact', '<sip:john@192.0.2.7>;expires=3600']],
  method = 'REGISTER',
): HookQuery {
  const value = authorization(change)
  const items = parseAuth(value)
  const read = items.ok ? readCredentials(items.items[0]!) : undefined
  if (read?.ok !== true) throw new Error('the credentials cannot be read')
  const bytes = requestBytes({ method, add: [['Authorization', value], ...add] })
  return hookQuery(viewOf(parsed(bytes)), read.credentials, SOURCE)
}

function hookOf(
  target: HookTarget | ((realm: string) => HookTarget | undefined | Promise<HookTarget | undefined>),
  options: Partial<HttpHookOptions> = {},
): HttpHook {
  const targets = typeof target === 'function' ? target : { 'jambonz.org': target }
  const hook = createHttpHook({ targets, ...options })
  onTestFinished(() => hook.close())
  return hook
}

const ask = async (
  answer: unknown,
  query = queryOf(),
  options: Partial<HttpHookOptions> = {},
): Promise<HookDecision> => {
  const { url } = await serve(json(answer))
  return hookOf({ url }, options).decide(query)
}

describe('the hook is told', () => {
  it('the published payload, its source and headers, by POST', async () => {
    const service = await serve(json({ status: 'ok' }))
    await hookOf({ url: `${service.url}/auth?x=1` }).decide(queryOf())
    const [{ method, path, headers, body }] = service.asked as readonly [Asked]
    expect([method, path, headers['content-type']]).toEqual(['POST', '/auth?x=1', 'application/json'])
    const {
      source_address,
      source_port,
      headers: told,
      ...rest
    } = JSON.parse(body) as Record<string, unknown>
    expect(JSON.stringify(rest)).toBe(JSON.stringify(PUBLISHED))
    expect({ source_address, source_port }).toEqual({ source_address: '192.0.2.7', source_port: 5062 })
    expect(told).toMatchObject({
      'call-id': 'call-1',
      contact: '<sip:john@192.0.2.7>;expires=3600',
      from: '<sip:alice@example.org>;tag=f',
      authorization: authorization(),
    })
  })

  it('enough to judge the published answer', () => {
    const { method, realm, username, response, algorithm: _, ...rest } = PUBLISHED
    const ha1 = computeHa1('MD5', username, realm, '1234')
    expect(computeResponse({ algorithm: 'MD5', ha1, method, ...rest, qop: 'auth' })).toBe(response)
  })

  it('the same as a query by GET, without headers', async () => {
    const service = await serve(json({ status: 'ok' }))
    await hookOf({ url: `${service.url}/auth?x=1`, method: 'GET' }).decide(queryOf())
    const [{ method, path, body }] = service.asked as readonly [Asked]
    const { pathname, searchParams } = new URL(path, service.url)
    expect([method, pathname, body]).toEqual(['GET', '/auth', ''])
    expect(Object.fromEntries(searchParams)).toEqual({
      x: '1',
      ...PUBLISHED,
      expires: '3600',
      source_address: '192.0.2.7',
      source_port: '5062',
    })
  })

  it('no qop, nc and cnonce of an answer that has none, and no expires of what is no registration', async () => {
    const service = await serve(json({ status: 'ok' }))
    const hook = hookOf({ url: service.url })
    await hook.decide(queryOf({ qop: null, nc: null, cnonce: null, algorithm: null }, [], 'INVITE'))
    const told = JSON.parse(service.asked[0]!.body) as Record<string, unknown>
    expect(Object.keys(told)).toEqual([
      'method',
      'scheme',
      'username',
      'realm',
      'nonce',
      'uri',
      'response',
      'algorithm',
      'source_address',
      'source_port',
      'headers',
    ])
    expect(told['algorithm']).toBe('MD5')
  })

  it.each([
    [
      'its Contact',
      [
        ['Contact', '<sip:a@b>;q=1;expires=60'],
        ['Expires', '90'],
      ],
      60,
    ],
    [
      'its Expires',
      [
        ['Contact', '<sip:a@b>'],
        ['Expires', ' 90 '],
      ],
      90,
    ],
    ['its first Contact', [['Contact', '<sip:a@b>;expires=60, <sip:c@d>;expires=70']], 60],
    ['nothing', [['Contact', '*']], undefined],
    ['what is no number', [['Expires', '-1']], undefined],
    ['more than there is', [['Expires', '9999999999']], 4294967295],
  ] as const)('as expires what is asked by %s', (_, add, expires) => {
    expect(queryOf({}, add).expires).toBe(expires)
  })

  it('a signature over time and body', async () => {
    const service = await serve(json({ status: 'ok' }))
    await hookOf(
      { url: service.url, secret: 'wh_s€cret' },
      { now: () => new Date(1_700_000_000_900) },
    ).decide(queryOf())
    const [{ headers, body }] = service.asked as readonly [Asked]
    const v1 = createHmac('sha256', 'wh_s€cret').update(`1700000000.${body}`).digest('hex')
    expect(headers['jambonz-signature']).toBe(`t=1700000000,v1=${v1}`)
  })

  it('Basic authentication', async () => {
    const service = await serve(json({ status: 'ok' }))
    await hookOf({ url: service.url, username: 'u', password: 'p:w' }).decide(queryOf())
    expect(service.asked[0]!.headers.authorization).toBe(`Basic ${Buffer.from('u:p:w').toString('base64')}`)
  })

  it('of an ACK, the method that was hashed', () => {
    expect(queryOf({}, [], 'ACK').method).toBe('INVITE')
  })
})

/** How a question to a service fails. */
const fault = async ({ url }: HttpService, options = {}): Promise<unknown> =>
  hookOf({ url }, options)
    .decide(queryOf())
    .catch((error: unknown) => (error as { fault?: string }).fault)

describe('the hook decides', () => {
  it('ok: whose the request is', async () => {
    expect(await ask({ status: 'ok' })).toEqual({
      decision: 'ok',
      account: { username: 'john', domain: undefined, status: 'active', attributes: {} },
    })
    const decision = await ask({ status: 'ok' }, queryOf({ username: '"john@jambonz.org"' }))
    expect(decision).toMatchObject({ account: { username: 'john', domain: 'jambonz.org' } })
  })

  it.each([
    [300, '300'],
    [3600, '3600'],
    [86_400, '3600'],
    [0, '0'],
    [null, undefined],
  ])('ok with expires %s: never above what was asked', async (expires, granted) => {
    const decision = await ask({ status: 'ok', expires })
    if (decision.decision !== 'ok') throw new Error(decision.decision)
    expect(decision.account.attributes!['expires']).toBe(granted)
  })

  it('ok with hooks for calls: they go into the identity', async () => {
    const call_hook = { url: 'https://x.example/call', method: 'POST' }
    const call_status_hook = 'https://x.example/status'
    expect(await ask({ status: 'ok', call_hook, call_status_hook })).toMatchObject({
      account: { attributes: { call_hook: JSON.stringify(call_hook), call_status_hook } },
    })
  })

  it('that who has no call_hook registers and does not call, where one is required', async () => {
    const invite = queryOf({}, [], 'INVITE')
    const required = { callHook: 'required' } as const
    expect(await ask({ status: 'ok' }, queryOf(), required)).toMatchObject({ decision: 'ok' })
    expect(await ask({ status: 'ok' }, invite)).toMatchObject({ decision: 'ok' })
    expect(await ask({ status: 'ok' }, invite, required)).toMatchObject({ decision: 'forbid' })
    expect(await ask({ status: 'ok', call_hook: 'https://x' }, invite, required)).toMatchObject({
      decision: 'ok',
    })
  })

  it('fail, with a reason that fits on a line of a log', async () => {
    expect(await ask({ status: 'fail' })).toEqual({ decision: 'fail', message: undefined, source: undefined })
    expect(await ask({ status: 'fail', msg: 'invalid username' })).toMatchObject({
      message: 'invalid username',
    })
    const evil = await ask({ status: 'fail', msg: `a\r\nX: y\u2028\u202e\x1b[31m${'x'.repeat(500)}` })
    if (evil.decision !== 'fail') throw new Error(evil.decision)
    expect(evil.message).toHaveLength(200)
    expect(evil.message).toMatch(/^a {2}X: y {3}\[31mx+$/)
  })

  it('fail for a spammer, whatever the status says', async () => {
    const expected = { decision: 'fail', source: 'ban' }
    expect(await ask({ status: 'fail', blacklist: true })).toMatchObject(expected)
    expect(await ask({ status: 'ok', blacklist: true })).toMatchObject(expected)
    expect(await ask({ status: 'fail', blacklist: 'true' })).toMatchObject({ source: undefined })
  })

  it('nothing for a realm without a hook', async () => {
    const service = await serve(json({ status: 'ok' }))
    const hook = createHttpHook({ targets: { 'other.org': { url: service.url } } })
    expect(await hook.decide(queryOf())).toMatchObject({ decision: 'forbid' })
    expect(service.asked).toEqual([])
  })

  it.each([
    '',
    'null',
    '[]',
    '"ok"',
    'true',
    '{}',
    '{"status":"OK"}',
    '{"status":true}',
    '{"status":"ok"',
    '{"status":"ok","expires":-1}',
    '{"status":"ok","expires":"300"}',
    '{"status":"ok","expires":1.5}',
    '{"status":"ok","expires":1e400}',
    '{"status":"ok","call_hook":7}',
    '{"status":"ok","call_hook":"a\\r\\nb"}',
    `{"status":"ok","call_hook":"${'x'.repeat(2049)}"}`,
    '{"__proto__":{"status":"ok"}}',
    '<html>ok</html>',
  ])('nothing by %j: a failure', async (answer) => {
    await expect(ask(answer)).rejects.toMatchObject({ fault: 'answer-malformed' })
  })

  it.each([201, 204, 301, 302, 307, 401, 403, 404, 500, 503])('nothing with status %i', async (status) => {
    const { url } = await serve(json({ status: 'ok' }, status))
    await expect(hookOf({ url }).decide(queryOf())).rejects.toMatchObject({
      fault: 'status',
      code: String(status),
    })
  })

  it('nothing too late, nor too long, nor when it is away', async () => {
    const mute = await serve(silent)
    const long = await serve(json({ status: 'ok', x: 'x'.repeat(65_536) }))
    const away = await serve(silent)
    await away.stop()
    expect(await fault(mute, { timeoutMs: 50 })).toBe('timeout')
    expect(await fault(long)).toBe('answer-too-long')
    expect(await fault(away)).toBe('unreachable')
  })

  it('no more at once than it is given', async () => {
    const held: ServerResponse[] = []
    const service = await serve((_, response) => void held.push(response))
    const hook = hookOf({ url: service.url }, { maxConnections: 1, maxQueue: 1, timeoutMs: 10_000 })
    const decisions = [hook.decide(queryOf()), hook.decide(queryOf())]
    await expect.poll(() => hook.waiting).toBe(1)
    await expect(hook.decide(queryOf())).rejects.toMatchObject({ fault: 'queue-full' })
    for (let i = 0; i < 2; i++) {
      await expect.poll(() => held.length).toBe(i + 1)
      json({ status: 'ok' })({} as Asked, held[i]!)
    }
    expect(await Promise.all(decisions)).toMatchObject([{ decision: 'ok' }, { decision: 'ok' }])
  })
})

describe('targets', () => {
  it('may come from a function, at once or later', async () => {
    const service = await serve(json({ status: 'ok' }))
    const asked: string[] = []
    const find = (realm: string): HookTarget => {
      asked.push(realm)
      return { url: service.url, secret: 's' }
    }
    expect(await hookOf(find).decide(queryOf())).toMatchObject({ decision: 'ok' })
    expect(await hookOf(async (realm) => find(realm)).decide(queryOf())).toMatchObject({ decision: 'ok' })
    expect(await hookOf(() => undefined).decide(queryOf())).toMatchObject({ decision: 'forbid' })
    expect(asked).toEqual(['jambonz.org', 'jambonz.org'])
  })

  it.each([
    ['no URL', { url: 'hook' }],
    ['a file', { url: 'file:///etc/passwd' }],
    ['a password in the URL', { url: 'http://u:hunter2@x/' }],
    ['half of Basic', { url: 'http://x/', username: 'u' }],
  ])('from a function with %s are a failure', async (_, target) => {
    const error = await hookOf(() => target)
      .decide(queryOf())
      .catch(String)
    expect(error).toBe('HttpError: the URL cannot be used (url-malformed)')
  })

  it('that a function cannot find are a failure', async () => {
    await expect(
      hookOf(() => {
        throw new Error('the database is away')
      }).decide(queryOf()),
    ).rejects.toThrow('the database is away')
  })

  it('are refused with everything that is wrong, and no secret shown', () => {
    const error = errorOf(() =>
      createHttpHook({
        targets: {
          a: { url: 'ftp://x', username: 'u' },
          b: { url: 'http://x', method: 'GET', secret: 'hunter2' },
          c: { url: 'http://x', username: 'a:b', password: 'hunter2', secret: '' },
        },
      }),
    )
    expect(error.issues.map(({ path }) => path)).toEqual([
      'targets.a.url',
      'targets.a.username',
      'targets.b.secret',
      'targets.c.username',
      'targets.c.secret',
    ])
    expect(String(error)).not.toContain('hunter2')
    expect(errorOf(() => createHttpHook({ targets: {} })).issues).toHaveLength(1)
  })
})

describe('names', () => {
  it.each([...INJECTIONS, '"}', '","status":"ok', 'a&status=ok'])('%j arrive as they are', async (name) => {
    const service = await serve(json({ status: 'fail' }))
    const escaped = Buffer.from(name.replace(/["\\]/g, '\\$&'), 'utf8').toString('latin1')
    const query = queryOf({ username: `"${escaped}"` })
    await hookOf({ url: service.url }).decide(query)
    await hookOf({ url: service.url, method: 'GET' }).decide(query)
    const [posted, got] = service.asked as readonly [Asked, Asked]
    expect((JSON.parse(posted.body) as { username: string }).username).toBe(name)
    expect(new URL(got.path, service.url).searchParams.getAll('username')).toEqual([name])
  })

  it('of headers reach no prototype, and folds are one line', async () => {
    const service = await serve(json({ status: 'ok' }))
    const add: readonly Line[] = [
      ['__proto__', 'x'],
      ['X-Two', 'a'],
      ['x-two', 'b'],
      ['X-Fold', 'a\r\n b'],
      ['k', 'path'],
      ['X-Utf8', 'j\xc3\xa4'],
    ]
    await hookOf({ url: service.url }).decide(queryOf({}, add))
    const { headers } = JSON.parse(service.asked[0]!.body) as { headers: Record<string, string> }
    expect(Object.entries(headers)).toEqual(
      expect.arrayContaining([
        ['__proto__', 'x'],
        ['x-two', 'a,b'],
        ['x-fold', 'a b'],
        ['supported', 'path'],
        ['x-utf8', 'jä'],
      ]),
    )
  })
})
