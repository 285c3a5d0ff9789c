import { afterAll, beforeAll, expect, it } from 'vitest'
import { describePeers } from '../support/peers.ts'
import { phoneAt } from './users-clients.ts'
import { startHookServer, type HookMood, type HookServer } from './users-hook-server.ts'
import { playUser, startWorld, type World } from './users-world.ts'

const ALICE = ['alice', 'correct-horse'] as const
const BOB = ['bob', 'another'] as const

const hex = (digits: number): unknown => expect.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`))

describePeers('a service that decides, asked by an edge', ['sipp', 'kamailio'], () => {
  let hook: HookServer
  let world: World

  beforeAll(async () => {
    hook = await startHookServer(Object.fromEntries([ALICE, BOB]))
    hook.say('alice', { expires: 120, call_hook: 'https://app.example.org/calls' })
    const lines = `source = "${hook.url}"\n`
    const tables = '[users.credentials.http]\ncall_hook = "required"\n'
    world = await startWorld({ lines, files: {} }, { tables })
  }, 60_000)
  afterAll(async () => {
    await world?.stop()
    await hook?.stop()
  })

  const register = async (
    user: readonly [string, string],
    scenario: 'registration' | 'refusedRegistration' | 'unavailableRegistration',
  ) => {
    const local = await phoneAt('127.0.0.1')
    await playUser(world, user, { scenario, local })
    return local
  }

  it('ok: registers; the service was shown the digest and where it came from', async () => {
    const before = hook.asked.length
    const local = await register(ALICE, 'registration')
    expect(await world.registrar.bindingOf('alice')).toMatchObject({
      contact: `sip:alice@127.0.0.1:${local.port}`,
    })
    expect(hook.asked[before]).toEqual({
      method: 'REGISTER',
      expires: 300,
      scheme: 'digest',
      username: 'alice',
      realm: 'example.org',
      nonce: expect.stringMatching(/^[\w-]{48}$/),
      uri: 'sip:example.org',
      response: hex(32),
      qop: 'auth',
      nc: '00000001',
      cnonce: hex(8),
      algorithm: 'MD5',
      source_address: '127.0.0.1',
      source_port: local.port,
      headers: expect.objectContaining({ 'user-agent': 'SIPp', cseq: '2 REGISTER' }),
    })
  })

  it('fail: refused, and nothing of it is registered', async () => {
    await register(['bob', 'wrong'], 'refusedRegistration')
    expect(await world.registrar.bindingOf('bob')).toBeUndefined()
    expect(
      await world.edge.metric('xkeys_digest_authentications_total', { reason: 'hook-refused' }),
    ).toBeGreaterThanOrEqual(1)
  })

  it('call_hook: who has one calls, who has none only registers', async () => {
    const local = await phoneAt('127.0.0.1')
    const service = await world.serve(1)
    await playUser(world, ALICE, { scenario: 'userCaller', local })
    expect(await service.result).toMatchObject({ code: 0 })
    await register(BOB, 'registration')
    await playUser(world, BOB, { scenario: 'refusedUserCaller', local })
    expect(hook.asked.at(-1)).toMatchObject({
      method: 'INVITE',
      username: 'bob',
      uri: 'sip:service@example.org',
    })
  })

  it.each(['hangs', 'fails', 'babbles'] satisfies HookMood[])(
    '%s: 503, and the next one is asked again',
    async (mood) => {
      hook.become(mood)
      await register(ALICE, 'unavailableRegistration')
      hook.become('decides')
      await register(ALICE, 'registration')
      expect(
        await world.edge.metric('xkeys_digest_authentications_total', { reason: 'store-unavailable' }),
      ).toBeGreaterThanOrEqual(1)
    },
  )

  it('down: 503; back: it is asked again, without a restart', async () => {
    await hook.stop()
    await register(ALICE, 'unavailableRegistration')
    await hook.start()
    await register(ALICE, 'registration')
    expect(await world.edge.metric('xkeys_digest_backend_up')).toBe(1)
  })
})
