import { describe, expect, it, onTestFinished } from 'vitest'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { createUserObserver } from '../../src/edge/user-events.ts'
import type { EdgeEvent } from '../../src/edge/event.ts'
import { contextOf } from '../support/messages.ts'
import { moved } from '../support/edge-rig.ts'
import { parseExposition } from '../support/exposition.ts'
import { openPeer } from '../support/udp-peer.ts'
import {
  authenticated,
  challengeOf,
  credentialsLine,
  openPhone,
  phoneRequest,
  startUsers,
  type UsersRig,
} from '../support/users-rig.ts'

const valuesOf = async (rig: UsersRig, name: string): Promise<Record<string, number>> =>
  Object.fromEntries(
    (parseExposition(await rig.metrics.registry.metrics()).get(name)?.samples ?? [])
      .filter(({ value }) => value !== 0)
      .map(({ labels, value }) => [Object.values(labels).join(','), value]),
  )

const AUTHENTICATIONS = 'xkeys_digest_authentications_total'

describe('wrong passwords', () => {
  it('are told one by one with the source, counted, and end in a ban that answers nothing', async () => {
    const rig = await startUsers({ tables: '[users.failures]\nper_source = 2.5' })
    for (let i = 0; i < 3; i++) {
      await authenticated(rig, rig.phone, 'REGISTER', {}, { password: 'secret-guess' })
      expect((await rig.phone.receive()).message.status).toBe(403)
    }
    // Every phone of that address, whatever it sends.
    await rig.phone.send(phoneRequest('REGISTER'), rig.trunkAt)
    await (await openPhone()).send(phoneRequest('INVITE'), rig.trunkAt)
    await rig.settle()
    const told = rig.events.filter(({ event }) => event === 'auth-failed')
    expect(told).toHaveLength(3)
    expect(told[0]).toEqual({
      event: 'auth-failed',
      side: 'trunk',
      source: rig.phone.local,
      reason: 'password-wrong',
      method: 'REGISTER',
      realm: 'example.org',
      username: 'alice',
    })
    expect(Object.keys(told[0]!).slice(0, 4)).toEqual(['event', 'side', 'source', 'reason'])
    expect(told.map(({ ban }) => ban)).toEqual([undefined, undefined, 'source'])
    expect(JSON.stringify([...rig.events, ...rig.decisions])).not.toContain('secret-guess')
    expect(await valuesOf(rig, AUTHENTICATIONS)).toEqual({
      'challenged,credentials-missing': 3,
      'refused,password-wrong': 3,
      'dropped,banned': 2,
    })
    expect(await valuesOf(rig, 'xkeys_blocks_total')).toEqual({ source: 1 })
    expect(await valuesOf(rig, 'xkeys_blocks_active')).toEqual({ '': 1 })
  })

  it('and anything else beyond the budget is dropped and counted', async () => {
    const rig = await startUsers({ users: 'requests_per_second = 2' })
    for (let i = 0; i < 20; i++)
      await rig.phone.send(phoneRequest('REGISTER', { callId: `flood-${i}` }), rig.trunkAt)
    await rig.settle()
    const { 'users-overload': dropped = 0, ...others } = moved(rig.metrics.dropped)
    // An address of nobody's gets half: one at once, and one a second.
    expect(dropped).toBeGreaterThanOrEqual(15)
    expect(dropped).toBeLessThan(20)
    expect(others).toEqual({})
  })

  it('ban no address that was sent no challenge: whoever forges one cannot answer from there', async () => {
    const rig = await startUsers({ tables: '[users.failures]\nper_source = 1' })
    const forged = await openPeer('127.0.0.2')
    onTestFinished(() => forged.close())
    await rig.phone.send(phoneRequest('REGISTER', { callId: 'forged' }), rig.trunkAt)
    const challenge = challengeOf(await rig.phone.receive())
    const line = credentialsLine(challenge, 'REGISTER', 'sip:example.org', { password: 'wrong' })
    await forged.send(phoneRequest('REGISTER', { callId: 'forged', add: [line] }), rig.trunkAt)
    expect(challengeOf(await forged.receive())).toContain('stale=true')
    await authenticated(rig, forged, 'REGISTER')
    expect((await rig.upstream.receive()).message.method).toBe('REGISTER')
    expect(rig.events.filter(({ event }) => event === 'auth-failed')).toEqual([])
  })

  it('ban nobody who is on the list', async () => {
    const rig = await startUsers({ tables: '[users.failures]\nper_source = 1\nallow = ["127.0.0.0/8"]' })
    for (let i = 0; i < 3; i++) {
      await authenticated(rig, rig.phone, 'REGISTER', {}, { password: 'wrong' })
      expect((await rig.phone.receive()).message.status).toBe(403)
    }
    await authenticated(rig, rig.phone, 'REGISTER')
    expect((await rig.upstream.receive()).message.method).toBe('REGISTER')
  })

  it('are challenged again where on_failure says so', async () => {
    const rig = await startUsers({ users: 'on_failure = "challenge"' })
    await authenticated(rig, rig.phone, 'INVITE', {}, { password: 'wrong' })
    expect((await rig.phone.receive()).message.status).toBe(407)
    expect(await valuesOf(rig, AUTHENTICATIONS)).toMatchObject({ 'challenged,password-wrong': 1 })
  })

  it('are told fifty times a second at most, with how many were held back', () => {
    const told: EdgeEvent[] = []
    const metrics = createMetrics({
      version: 'test',
      process: 'none',
      keyring: () => ({ keys: [], groups: [] }),
    })
    let now = 0
    const observe = createUserObserver({
      metrics: metrics.forUsers(() => {
        throw new Error('nobody scrapes')
      }),
      emit: (event) => told.push(event),
      now: () => now,
    })
    const failed = { event: 'refused', reason: 'user-unknown', username: 'x'.repeat(300) } as const
    const context = contextOf(phoneRequest('REGISTER'))
    observe({ ...failed, username: 'a\u2028b\u0007\ud800' }, context)
    expect(told[0]?.username).toBe('a?b??')
    for (let i = 0; i < 79; i++) observe(failed, context)
    expect(told).toHaveLength(50)
    now = 1000
    observe(failed, context)
    expect(told.at(-1)).toMatchObject({ held: 30, username: `${'x'.repeat(64)}…` })
    now = 2000
    observe({ ...failed, reason: 'hook-refused', message: 'no such \u0007user' }, context)
    expect(told.at(-1)).toMatchObject({ reason: 'hook-refused', detail: 'no such ?user' })
    expect(Object.keys(told.at(-1)!).at(-1)).toBe('detail')
  })
})

describe('whoever provokes answers', () => {
  it('gets only so many challenges a second', async () => {
    const rig = await startUsers({ more: '[limits]\nrefusals_per_second = 2' })
    for (let i = 0; i < 12; i++) await rig.phone.send(phoneRequest('REGISTER'), rig.trunkAt)
    await rig.settle()
    expect(Object.keys(moved(rig.metrics.suppressed))).toEqual(['trunk'])
  })

  it('gets only so many as a stranger whose requests we do not pass on', async () => {
    const rig = await startUsers({
      more: '[limits]\nrefusals_per_second = 2',
      users: 'strangers = "forward"',
    })
    const parts = { from: '<sip:x@evil.example>', add: [['Proxy-Require', 'x'] as const] }
    for (let i = 0; i < 12; i++) await rig.phone.send(phoneRequest('OPTIONS', parts), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(420)
    await rig.settle()
    expect(Object.keys(moved(rig.metrics.suppressed))).toEqual(['trunk'])
  })

  it('with the name of a scanner gets nothing', async () => {
    const rig = await startUsers({ users: 'scanners = ["my-scanner"]' })
    await rig.phone.send(phoneRequest('REGISTER', { add: [['User-Agent', 'A My-Scanner 1']] }), rig.trunkAt)
    await rig.settle()
    expect(await valuesOf(rig, AUTHENTICATIONS)).toEqual({ 'dropped,scanner': 1 })
    await rig.phone.send(phoneRequest('REGISTER', { add: [['User-Agent', 'friendly-scanner']] }), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(401)
  })
})

describe('a trusted source', () => {
  it('is not challenged, except to register', async () => {
    const rig = await startUsers({ users: 'trusted = ["127.0.0.1"]' })
    await rig.phone.send(
      phoneRequest('INVITE', { add: [['P-Asserted-Identity', '<sip:pbx@example.org>']] }),
      rig.trunkAt,
    )
    const { message } = await rig.upstream.receive()
    expect(message.headers('P-Asserted-Identity')).toHaveLength(1)
    const routes = message.headers('Record-Route').toReversed()
    const [callId = ''] = message.headers('Call-ID')
    await rig.phone.send(
      phoneRequest('INVITE', {
        uri: 'sip:bob@192.0.2.9',
        from: '<sip:+49@gw.example>',
        to: '<sip:bob@example.org>;tag=answer',
        callId,
        add: [
          ...routes.map((value) => ['Route', value] as const),
          ['P-Asserted-Identity', '<sip:pbx@example.org>'],
        ],
      }),
      rig.trunkAt,
    )
    expect((await rig.upstream.receive()).message.headers('P-Asserted-Identity')).toHaveLength(1)
    await rig.phone.send(phoneRequest('REGISTER'), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(401)
  })
})

describe('strangers', () => {
  it('are forwarded where that is wanted, with their CANCEL and their dialog', async () => {
    const rig = await startUsers({ users: 'strangers = "forward"' })
    const own = {
      from: '<sip:eve@elsewhere.example>',
      callId: 'stranger',
      cseq: 1,
      branch: 'z9hG4bKstranger',
    }
    await rig.phone.send(phoneRequest('INVITE', own), rig.trunkAt)
    const invite = await rig.upstream.receive()
    await rig.phone.send(phoneRequest('CANCEL', own), rig.trunkAt)
    expect((await rig.upstream.receive()).message.method).toBe('CANCEL')
    const routes = invite.message.headers('Record-Route').toReversed()
    await rig.phone.send(
      phoneRequest('BYE', {
        ...own,
        branch: 'z9hG4bKbye',
        uri: 'sip:bob@192.0.2.1',
        to: '<sip:bob@example.org>;tag=x',
        add: routes.map((route) => ['Route', route] as const),
      }),
      rig.trunkAt,
    )
    expect((await rig.upstream.receive()).message.method).toBe('BYE')
    await rig.phone.send(
      phoneRequest('INVITE', { ...own, uri: 'sip:x@far.example', callId: 'relay' }),
      rig.trunkAt,
    )
    expect((await rig.phone.receive()).text).toMatch(/^SIP\/2\.0 403 Not relaying\r\n/)
    await rig.phone.send(phoneRequest('REGISTER', { from: own.from, to: own.from }), rig.trunkAt)
    expect((await rig.phone.receive()).message.status).toBe(403)
  })
})

it('without [users] there are no metrics of users, and unknown sources are dropped', async () => {
  const metrics = createMetrics({
    version: 'test',
    process: 'none',
    keyring: () => ({ keys: [], groups: [] }),
  })
  expect(await metrics.registry.metrics()).not.toMatch(/^xkeys_(?:digest|blocks|claims)/m)
})
