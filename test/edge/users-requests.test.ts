import { describe, expect, it } from 'vitest'
import { answerTo, moved } from '../support/edge-rig.ts'
import { parsed } from '../support/messages.ts'
import {
  answerFrom,
  authenticated,
  challengeOf,
  credentialsLine,
  openPhone,
  phoneRequest,
  startUsers,
  urisOf,
} from '../support/users-rig.ts'

/** Headers that say who calls, whoever does. */
const ASSERTING = ['P-Asserted-Identity', 'Remote-Party-ID', 'P-Preferred-Identity']

/** A call of alice that was answered: the route set of both sides. */
async function call(rig: Awaited<ReturnType<typeof startUsers>>, callId: string) {
  await authenticated(rig, rig.phone, 'INVITE', { callId, sentBy: '10.0.0.5:5060' })
  const invite = await rig.upstream.receive()
  const routes = invite.message.headers('Record-Route')
  await answerFrom(
    rig,
    invite,
    '200 OK',
    routes.map((value) => ['Record-Route', value] as const),
  )
  await rig.phone.receive()
  return { routes, toUpstream: urisOf(invite.bytes, 'Record-Route') }
}

/** The requests of a dialog of alice, from her end. */
async function inCall(policy: string) {
  const rig = await startUsers({ users: `in_dialog = "${policy}"` })
  const callId = `goes-on-${policy}`
  const { routes } = await call(rig, callId)
  const parts = {
    callId,
    uri: 'sip:bob@192.0.2.9',
    to: '<sip:bob@example.org>;tag=answer',
    // A route set is the Record-Route of the response from its end.
    add: [...routes.toReversed(), '<sip:behind.example;lr>'].map((value) => ['Route', value] as const),
  }
  return { rig, parts }
}

describe('a request of a phone', () => {
  it('is challenged: 401 for REGISTER, 407 for others, strongest algorithm first', async () => {
    const { phone, trunkAt } = await startUsers()
    await phone.send(phoneRequest('REGISTER'), trunkAt)
    const register = (await phone.receive()).message
    expect(register.status).toBe(401)
    expect(
      register.headers('WWW-Authenticate').map((value) => /algorithm=([\w-]+)/.exec(value)?.[1]),
    ).toEqual(['SHA-512-256', 'SHA-256', 'MD5'])
    await phone.send(phoneRequest('INVITE'), trunkAt)
    const invite = (await phone.receive()).message
    expect(invite.status).toBe(407)
    expect(invite.headers('Proxy-Authenticate')).toHaveLength(3)
    expect(invite.headers('Via')[0]).toMatch(
      new RegExp(`;received=127\\.0\\.0\\.1;rport=${phone.local.port}$`),
    )
  })

  it('goes to the upstream with the right answer: without our credentials, with what else it had', async () => {
    const rig = await startUsers()
    const other = 'Digest username="alice", realm="elsewhere.example", nonce="x", uri="sip:y", response="z"'
    await authenticated(rig, rig.phone, 'INVITE', {
      add: [
        ['Proxy-Authorization', other],
        ['P-Asserted-Identity', '<sip:boss@example.org>'],
        ['Remote-Party-ID', '<sip:boss@example.org>;screen=yes'],
        ['P-Preferred-Identity', '<sip:boss@example.org>'],
        ['X-Kept', 'yes'],
        ['Route', '<sip:open.relay.example;lr>'],
      ],
    })
    const { message, from } = await rig.upstream.receive()
    expect(from.port).toBe(rig.upstreamAt.port)
    expect(message.headers('Proxy-Authorization')).toEqual([other])
    for (const name of ASSERTING) expect(message.headers(name)).toEqual([])
    expect(message.headers('Route')).toEqual([])
    expect(message.headers('X-Kept')).toEqual(['yes'])
    expect(message.headers('Via')[0]).toMatch(/^SIP\/2\.0\/UDP 127\.0\.0\.1:\d+;branch=z9hG4bKxk-/)
    expect(message.headers('Via')[1]).toContain(`;received=127.0.0.1;rport=${rig.phone.local.port}`)
    expect(message.headers('Max-Forwards')).toEqual(['69'])
    expect(moved(rig.metrics.rejections)).toEqual({})
  })

  it('is answered through us: the response goes to where the phone is, whatever its Via says', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'OPTIONS', { sentBy: '203.0.113.9:1' })
    await answerFrom(rig, await rig.upstream.receive(), '486 Busy Here')
    const { message } = await rig.phone.receive()
    expect(message.status).toBe(486)
    expect(message.headers('Via')).toHaveLength(1)
  })

  it.each([
    ['REGISTER', 'Authentication-Info'],
    ['OPTIONS', 'Proxy-Authentication-Info'],
  ])('%s: its 2xx bears %s, its failure does not', async (method, header) => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, method)
    const request = await rig.upstream.receive()
    await answerFrom(rig, request, '100 Trying')
    await answerFrom(rig, request, '200 OK')
    expect((await rig.phone.receive()).message.headers(header)).toEqual([])
    expect((await rig.phone.receive()).message.headers(header)).toEqual([
      expect.stringMatching(/qop=auth, rspauth="[0-9a-f]{64}"/),
    ])
    await authenticated(rig, rig.phone, method)
    await answerFrom(rig, await rig.upstream.receive(), '404 Not Found')
    expect((await rig.phone.receive()).message.headers(header)).toEqual([])
  })

  it('leaves an Authentication-Info of the upstream alone', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'REGISTER')
    await answerFrom(rig, await rig.upstream.receive(), '200 OK', [['Authentication-Info', 'qop=auth']])
    expect((await rig.phone.receive()).message.headers('Authentication-Info')).toEqual(['qop=auth'])
  })

  it.each([
    ['a wrong password', {}, { password: 'wrong' }, 'password-wrong'],
    ['an unknown user', {}, { username: 'nobody' }, 'user-unknown'],
    ['an inactive account', { from: '<sip:gone@example.org>' }, { username: 'gone' }, 'account-inactive'],
    ['another user in From', { from: '<sip:bob@example.org>' }, {}, 'identity-mismatch'],
  ] as const)('with %s is refused with the same 403', async (_, parts, answer, reason) => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'INVITE', parts, answer)
    const { message, text } = await rig.phone.receive()
    expect(text.split('\r\n')[0]).toBe('SIP/2.0 403 Forbidden')
    expect(message.headers('To')[0]).toMatch(/;tag=/)
    expect(rig.decisions.at(-1)).toMatchObject({ event: 'decided', verdict: 'reject', reason })
    expect((await rig.settle()).upstream).toEqual([])
  })

  it.each([
    ['to us from nobody of ours', { from: '<sip:x@evil.example>' }, 'stranger'],
    ['between strangers', { from: '<sip:x@evil.example>', uri: 'sip:y@evil.example' }, 'not-relaying'],
  ])('%s is refused without a challenge', async (_, parts, reason) => {
    const rig = await startUsers()
    await rig.phone.send(phoneRequest('INVITE', parts), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(403)
    expect(rig.decisions.at(-1)).toMatchObject({ reason })
  })

  it('is absorbed where it acknowledges our refusal', async () => {
    const rig = await startUsers()
    const branch = 'z9hG4bKrefused'
    await rig.phone.send(phoneRequest('INVITE', { callId: 'refused', cseq: 1, branch }), rig.trunkAt)
    const [to = ''] = (await rig.phone.receive()).message.headers('To')
    await rig.phone.send(phoneRequest('ACK', { callId: 'refused', cseq: 1, branch, to }), rig.trunkAt)
    await rig.settle()
    expect(rig.decisions.map(({ method }) => method)).not.toContain('ACK')
  })

  it('passes again when it is sent again, and a copy of it with another Contact does not', async () => {
    const rig = await startUsers()
    const bytes = await authenticated(rig, rig.phone, 'REGISTER', { add: [['Contact', '<sip:a@10.0.0.5>']] })
    await rig.upstream.receive()
    await rig.phone.send(bytes, rig.trunkAt)
    await rig.upstream.receive()
    await rig.phone.send(
      Buffer.from(bytes.toString('latin1').replace('10.0.0.5>', '10.6.6.6>'), 'latin1'),
      rig.trunkAt,
    )
    const answer = await rig.phone.receive()
    expect(answer.message.status).toBe(401)
    expect(challengeOf(answer)).toContain('stale=true')
  })

  it('leaves trunks as they are: never challenged', async () => {
    const rig = await startUsers()
    await rig.carrier.send(phoneRequest('INVITE'), rig.trunkAt)
    const { message } = await rig.carrier.receive()
    expect(message.status).toBe(403)
    expect(message.headers('Proxy-Authenticate')).toEqual([])
  })
})

describe('CANCEL and ACK of a phone', () => {
  it('go with their INVITE, and to nobody else', async () => {
    const rig = await startUsers()
    const own = { callId: 'cancelled', cseq: 7, branch: 'z9hG4bKinvite' }
    await rig.phone.send(phoneRequest('INVITE', { ...own, branch: 'z9hG4bKfirst' }), rig.trunkAt)
    const challenge = challengeOf(await rig.phone.receive())
    const line = credentialsLine(challenge, 'INVITE', 'sip:bob@example.org')
    await rig.phone.send(phoneRequest('INVITE', { ...own, add: [line] }), rig.trunkAt)
    const invite = await rig.upstream.receive()
    await answerFrom(rig, invite, '180 Ringing')
    await rig.phone.receive()

    const stranger = await openPhone()
    await stranger.send(phoneRequest('CANCEL', own), rig.trunkAt)
    expect((await stranger.receive()).message.status).toBe(481)
    // Its credentials go, too.
    await rig.phone.send(phoneRequest('CANCEL', { ...own, add: [line] }), rig.trunkAt)
    const cancel = await rig.upstream.receive()
    expect(cancel.message.method).toBe('CANCEL')
    expect(cancel.message.headers('Proxy-Authorization')).toEqual([])
    expect(cancel.message.headers('Via')[0]).toBe(invite.message.headers('Via')[0])
    await answerFrom(rig, cancel, '200 OK')
    expect((await rig.phone.receive()).message.method).toBe('CANCEL')

    await answerFrom(rig, invite, '487 Request Terminated')
    const [to = ''] = (await rig.phone.receive()).message.headers('To')
    await rig.phone.send(phoneRequest('ACK', { ...own, to }), rig.trunkAt)
    expect((await rig.upstream.receive()).message.method).toBe('ACK')
  })

  it('are dropped or refused without one', async () => {
    const rig = await startUsers()
    await rig.phone.send(phoneRequest('ACK', { to: '<sip:bob@example.org>;tag=x' }), rig.trunkAt)
    await rig.phone.send(phoneRequest('CANCEL'), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(481)
    expect((await rig.settle()).upstream).toEqual([])
  })
})

describe('a dialog of a phone', () => {
  it('has both sides of us in its route set, each with a token of the phone', async () => {
    const rig = await startUsers()
    const { toUpstream } = await call(rig, 'both-sides')
    const token = /^sip:(d7f000001[0-9a-f]{4}-[0-9a-f]{20})@127\.0\.0\.1:(\d+);lr$/
    const found = toUpstream.map((uri) => token.exec(uri))
    expect(found.map((match) => Number(match?.[2]))).toEqual([rig.upstreamAt.port, rig.trunkAt.port])
    expect(found[0]?.[1]).toBe(found[1]?.[1])
  })

  it('is reached by the upstream behind its NAT, and answers', async () => {
    const rig = await startUsers()
    const { routes } = await call(rig, 'reached')
    const bye = phoneRequest('BYE', {
      uri: 'sip:alice@10.0.0.5:5060',
      from: '<sip:bob@example.org>',
      to: '<sip:alice@example.org>;tag=phone',
      callId: 'reached',
      sentBy: rig.upstream.at,
      add: routes.map((value) => ['Route', value] as const),
    })
    await rig.upstream.send(bye, rig.upstreamAt)
    const received = await rig.phone.receive()
    expect(received.from.port).toBe(rig.trunkAt.port)
    expect(received.message.requestUri).toBe('sip:alice@10.0.0.5:5060')
    expect(received.message.headers('Route')).toEqual([])
    await rig.phone.send(
      answerTo(
        received.bytes,
        '200 OK',
        ASSERTING.map((name) => [name, '<sip:boss@example.org>'] as const),
      ),
      rig.trunkAt,
    )
    const answer = await rig.upstream.receive()
    expect(answer.message.status).toBe(200)
    for (const name of ASSERTING) expect(answer.message.headers(name)).toEqual([])
  })

  it.each([
    ['of another call', (uri: string) => uri, 'other-call'],
    [
      'that was changed',
      (uri: string) => uri.replace(/-./, (found) => (found === '-0' ? '-1' : '-0')),
      'changed',
    ],
    ['for another address', (uri: string) => uri.replace('d7f000001', 'd7f000002'), 'moved'],
  ])('is not reached by a token %s', async (_, change, callId) => {
    const rig = await startUsers()
    const { toUpstream } = await call(rig, callId)
    const bye = phoneRequest('BYE', {
      to: '<sip:alice@example.org>;tag=phone',
      callId: callId === 'other-call' ? 'another' : callId,
      sentBy: rig.upstream.at,
      add: [['Route', `<${change(toUpstream[0]!)}>`]],
    })
    await rig.upstream.send(bye, rig.upstreamAt)
    expect((await rig.upstream.receive()).message.status).toBe(481)
    expect((await rig.settle()).carrier).toEqual([])
  })

  it.each(['authenticate', 'route'])('with in_dialog = "%s" acknowledges by its token', async (policy) => {
    const { rig, parts } = await inCall(policy)
    await rig.phone.send(phoneRequest('ACK', parts), rig.trunkAt)
    const { message } = await rig.upstream.receive()
    expect(message.method).toBe('ACK')
    expect(message.headers('Route')).toEqual(['<sip:behind.example;lr>'])
  })

  it('with in_dialog = "route" goes on by its token, with our credentials cut', async () => {
    const { rig, parts } = await inCall('route')
    const line = ['Proxy-Authorization', 'Digest username="alice", realm="example.org", nonce="old"'] as const
    await rig.phone.send(phoneRequest('BYE', { ...parts, add: [...parts.add, line] }), rig.trunkAt)
    const { message } = await rig.upstream.receive()
    expect(message.headers('Route')).toEqual(['<sip:behind.example;lr>'])
    expect(message.headers('Proxy-Authorization')).toEqual([])
  })

  it('with in_dialog = "route" lets its re-INVITE be cancelled', async () => {
    const { rig, parts } = await inCall('route')
    const again = { ...parts, cseq: 1000, branch: 'z9hG4bKagain' }
    await rig.phone.send(phoneRequest('INVITE', again), rig.trunkAt)
    const invite = await rig.upstream.receive()
    await rig.phone.send(phoneRequest('CANCEL', again), rig.trunkAt)
    const cancel = await rig.upstream.receive()
    expect(cancel.message.method).toBe('CANCEL')
    expect(cancel.message.headers('Via')[0]).toBe(invite.message.headers('Via')[0])
  })

  it.each(['REGISTER', 'PUBLISH'])('has no %s in it: its token proves no user', async (method) => {
    const { rig, parts } = await inCall('route')
    const bob = {
      uri: 'sip:example.org',
      from: '<sip:bob@example.org>',
      to: '<sip:bob@example.org>;tag=answer',
    }
    await rig.phone.send(phoneRequest(method, { ...parts, ...bob }), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(method === 'REGISTER' ? 401 : 407)
    expect((await rig.settle()).upstream).toEqual([])
  })

  it('in which a phone was called by a name that is not ours is ended by its token', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'REGISTER')
    const [path = ''] = urisOf((await rig.upstream.receive()).bytes, 'Path')
    const called = '<sip:+49301234@carrier.example>'
    const invite = phoneRequest('INVITE', {
      uri: 'sip:alice@10.0.0.5:5060',
      from: '<sip:caller@carrier.example>',
      to: called,
      callId: 'from-outside',
      sentBy: rig.upstream.at,
      add: [['Route', `<${path}>`]],
    })
    await rig.upstream.send(invite, rig.upstreamAt)
    const routes = (await rig.phone.receive()).message.headers('Record-Route')
    const bye = {
      uri: 'sip:caller@192.0.2.9',
      from: called,
      to: '<sip:caller@carrier.example>;tag=phone',
      callId: 'from-outside',
      add: routes.map((value) => ['Route', value] as const),
    }
    await rig.phone.send(phoneRequest('BYE', bye), rig.trunkAt)
    expect((await rig.upstream.receive()).message.method).toBe('BYE')
    const other = await openPhone()
    await other.send(phoneRequest('BYE', bye), rig.trunkAt)
    expect((await other.receive()).message.status).toBe(403)
  })

  it('of a stranger goes on by its token, and makes him none of our users', async () => {
    const rig = await startUsers({ users: 'strangers = "forward"' })
    const parts = { callId: 'stranger', from: '<sip:x@evil.example>' }
    await rig.phone.send(phoneRequest('INVITE', parts), rig.trunkAt)
    const invite = await rig.upstream.receive()
    const routes = invite.message.headers('Record-Route').toReversed()
    const inside = {
      ...parts,
      uri: 'sip:bob@192.0.2.9',
      to: '<sip:bob@example.org>;tag=answer',
      add: routes.map((value) => ['Route', value] as const),
    }
    await rig.phone.send(phoneRequest('BYE', inside), rig.trunkAt)
    expect((await rig.upstream.receive()).message.method).toBe('BYE')
    const asAlice = { ...inside, uri: 'sip:+1900@example.org', from: '<sip:alice@example.org>' }
    await rig.phone.send(phoneRequest('INVITE', asAlice), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(407)
    await rig.phone.send(phoneRequest('REGISTER', { ...asAlice, uri: 'sip:example.org' }), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(401)
    expect((await rig.settle()).upstream).toEqual([])
  })

  it('with in_dialog = "authenticate" is challenged, and keeps its route', async () => {
    const { rig, parts } = await inCall('authenticate')
    await authenticated(rig, rig.phone, 'BYE', parts)
    expect((await rig.upstream.receive()).message.headers('Route')).toEqual(['<sip:behind.example;lr>'])
  })

  it.each(['authenticate', 'route'])('with in_dialog = "%s" is nobody else\'s', async (policy) => {
    const { rig, parts } = await inCall(policy)
    const other = await openPhone()
    await other.send(phoneRequest('BYE', parts), rig.trunkAt)
    expect((await other.receive()).message.status).toBe(407)
    await other.send(phoneRequest('ACK', parts), rig.trunkAt)
    expect((await rig.settle()).upstream).toEqual([])
  })

  it('whose route we did not record leads nowhere', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'BYE', {
      to: '<sip:bob@example.org>;tag=x',
      add: [['Route', `<sip:${rig.trunkAt.address}:${rig.trunkAt.port};lr>, <sip:open.relay.example;lr>`]],
    })
    expect((await rig.upstream.receive()).message.headers('Route')).toEqual([])
  })
})

describe('a registration', () => {
  it('bears a Path by which the upstream reaches the phone, also after a restart and on another node', async () => {
    const first = await startUsers()
    await authenticated(first, first.phone, 'REGISTER', { add: [['Path', '<sip:below.example;lr>']] })
    const { bytes } = await first.upstream.receive()
    const [path = '', below] = urisOf(bytes, 'Path')
    expect(path).toMatch(/^sip:p7f000001[0-9a-f]{4}-[0-9a-f]{20}@127\.0\.0\.1:\d+;lr$/)
    expect(below).toBe('sip:below.example;lr')
    expect(parsed(bytes).headers('Record-Route')).toEqual([])

    const second = await startUsers()
    const route = path.replace(/:\d+;lr$/, `:${second.upstreamAt.port};lr`)
    const invite = phoneRequest('INVITE', {
      uri: 'sip:alice@10.0.0.5:5060',
      from: '<sip:bob@example.org>',
      to: '<sip:alice@example.org>',
      sentBy: second.upstream.at,
      add: [['Route', `<${route}>`]],
    })
    await second.upstream.send(invite, second.upstreamAt)
    const received = await first.phone.receive()
    expect(received.from.port).toBe(second.trunkAt.port)
    expect(received.message.headers('Route')).toEqual([])
    expect(received.message.headers('Record-Route')).toHaveLength(2)
    await first.phone.send(answerTo(received.bytes, '180 Ringing'), second.trunkAt)
    expect((await second.upstream.receive()).message.status).toBe(180)
  })

  it('can be reached by a Request-URI that is the Path, too', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'REGISTER')
    const [path = ''] = urisOf((await rig.upstream.receive()).bytes, 'Path')
    await rig.upstream.send(phoneRequest('OPTIONS', { uri: path, sentBy: rig.upstream.at }), rig.upstreamAt)
    expect((await rig.phone.receive()).message.method).toBe('OPTIONS')
  })

  it('from the address of the upstream leads nowhere', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.upstream, 'REGISTER')
    const [path = ''] = urisOf((await rig.upstream.receive()).bytes, 'Path')
    await rig.upstream.send(phoneRequest('OPTIONS', { uri: path, sentBy: rig.upstream.at }), rig.upstreamAt)
    expect((await rig.upstream.receive()).message.status).toBe(404)
  })

  it('can only be used from the side of the upstream', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'REGISTER')
    const [path = ''] = urisOf((await rig.upstream.receive()).bytes, 'Path')
    const other = await openPhone()
    await authenticated(rig, other, 'INVITE', { add: [['Route', `<${path}>`]] })
    // To the upstream, as everything of a phone, and without that Route.
    expect((await rig.upstream.receive()).message.headers('Route')).toEqual([])
  })
})

describe('a response of a phone', () => {
  it('to what it was not asked is dropped', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'REGISTER')
    const [path = ''] = urisOf((await rig.upstream.receive()).bytes, 'Path')
    const options = phoneRequest('OPTIONS', { sentBy: rig.upstream.at, add: [['Route', `<${path}>`]] })
    await rig.upstream.send(options, rig.upstreamAt)
    const { bytes } = await rig.phone.receive()
    const good = answerTo(bytes, '200 OK')
    const branch = /branch=z9hG4bKxk-(.)/
    const forged = good
      .toString('latin1')
      .replace(branch, (found) => `${found.slice(0, -1)}${found.endsWith('0') ? '1' : '0'}`)
    const other = await openPhone()
    await rig.phone.send(Buffer.from(forged, 'latin1'), rig.trunkAt)
    await other.send(Buffer.from(forged, 'latin1'), rig.trunkAt)
    await rig.phone.send(answerTo(phoneRequest('INVITE'), '200 OK'), rig.trunkAt)
    expect((await rig.settle()).upstream).toEqual([])
    expect(moved(rig.metrics.dropped)).toEqual({ 'via-not-ours': 3 })
    await rig.phone.send(good, rig.trunkAt)
    expect((await rig.upstream.receive()).message.status).toBe(200)
  })
})
