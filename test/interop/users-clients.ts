/**
 * What each kind of telephone must be able to do at an edge, whatever database its account is in.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { Endpoint } from '../../src/message/types.ts'
import { describeWith } from '../support/deploy-programs.ts'
import { freePorts } from '../support/peers.ts'
import { receivedBy } from './sipp-log.ts'
import { startSipp, type Sipp } from './sipp.ts'
import { startLinphone } from './users-linphone.ts'
import { SERVICE, type Binding } from './users-registrar.ts'
import { runSipsak } from './users-sipsak.ts'
import { startUac } from './users-uac.ts'
import { playUser, succeeds, type World } from './users-world.ts'

/** The accounts that the database must hold: realm and domain example.org. `-x` are those that come with a wrong password. */
export const ACCOUNTS = ['sipp', 'pbx', 'linphone', 'sipsak'].flatMap((name) => [name, `${name}-x`])
/** Of all accounts. */
export const PASSWORD = 'correct-horse'
const WRONG = 'wrong'

/** An address of a telephone. */
export async function phoneAt(address: string): Promise<Endpoint> {
  const [port = 0] = await freePorts(1)
  return { address, port }
}

/** Waits until a user is bound. */
async function boundBy(world: World, user: string): Promise<Binding> {
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(50)) {
    const binding = await world.registrar.bindingOf(user)
    if (binding !== undefined) return binding
  }
  throw new Error(`${user} is not bound:\n${world.edge.output()}\n${world.registrar.output()}`)
}

/** Calls a user where it is bound. @returns the binding */
async function reach(world: World, user: string, callee?: Sipp): Promise<Binding> {
  const binding = await boundBy(world, user)
  await succeeds(await world.callUser(user), ...(callee === undefined ? [] : [callee]))
  return binding
}

/** Path of a binding: the edge's side of the upstream, with a flow token. */
function flowOf({ places }: World): unknown {
  const { address, port } = places.edgeUpstream
  return expect.stringMatching(new RegExp(`^<sip:p[0-9a-f-]+@${address}:${port};lr>$`))
}

/** What the service was sent in its calls. */
async function servedBy(service: Sipp): Promise<string> {
  await succeeds(service)
  return receivedBy(service).join('\n')
}

const CREDENTIALS = /^(?:Proxy-)?Authorization:/im

/** Wrong passwords that the edge counted. */
const refusals = (world: World): Promise<number> =>
  world.edge.metric('xkeys_digest_authentications_total', { reason: 'password-wrong' })

/** What is to be seen of a user who came with a wrong password: no binding, and so many refusals more. */
async function seenOf(world: World, user: string, before: number) {
  return { binding: await world.registrar.bindingOf(user), refused: (await refusals(world)) - before }
}

const uacAt = async (): Promise<{ local: Endpoint; extension: Endpoint }> => ({
  local: await phoneAt('127.0.0.2'),
  extension: await phoneAt('127.0.0.1'),
})

async function linphoneOf({ places }: World, username: string, password: string) {
  const { port: audio } = await phoneAt('127.0.0.1')
  const local = await phoneAt('127.0.0.1')
  const { edge } = places
  const phone = await startLinphone({ local, audio, edge, username, password, algorithm: 'SHA-256' })
  return { local, phone }
}

/** Defines the tests of all kinds of telephones. @param world gives what `beforeAll` started */
export function defineClients(world: () => World): void {
  describeWith('SIPp', ['sipp'], () => {
    it('registers, is called, and calls', async () => {
      const local = await phoneAt('127.0.0.1')
      await playUser(world(), ['sipp', PASSWORD], { scenario: 'registration', local })
      const callee = await startSipp({ scenario: 'sessionCallee', local, calls: 1 })
      const binding = await reach(world(), 'sipp', callee)
      expect(binding).toEqual({ contact: `sip:sipp@127.0.0.1:${local.port}`, path: flowOf(world()) })
      const service = await world().serve(5)
      await playUser(world(), ['sipp', PASSWORD], { scenario: 'userCaller', local, calls: 5 })
      expect(await servedBy(service)).not.toMatch(CREDENTIALS)
    })

    it('is refused with a wrong password', async () => {
      const local = await phoneAt('127.0.0.1')
      const before = await refusals(world())
      await playUser(world(), ['sipp-x', WRONG], { scenario: 'refusedRegistration', local, calls: 5 })
      await playUser(world(), ['sipp-x', WRONG], { scenario: 'refusedUserCaller', local, calls: 5 })
      const seen = await seenOf(world(), 'sipp-x', before)
      expect(seen.binding).toBeUndefined()
      expect(seen.refused).toBeGreaterThanOrEqual(10)
    })
  })

  describeWith('Kamailio as a client', ['kamailio', 'sipp'], () => {
    it('registers, is called, and calls', async () => {
      const places = { ...(await uacAt()), edge: world().places.edge }
      const uac = await startUac({ ...places, username: 'pbx', password: PASSWORD })
      const callee = await startSipp({ scenario: 'sessionCallee', local: places.extension, calls: 1 })
      const binding = await reach(world(), 'pbx', callee)
      const contact = `sip:line@127.0.0.2:${places.local.port}`
      expect(binding).toEqual({ contact, path: flowOf(world()) })
      const service = await world().serve(1)
      const list = `SEQUENTIAL\npbx;;${SERVICE}\n`
      const through = { local: places.extension, to: places.local, calls: 1, list }
      await succeeds(await startSipp({ scenario: 'extensionCaller', ...through }))
      expect(await servedBy(service)).not.toMatch(CREDENTIALS)
      await uac.stop()
    })

    it('is refused with a wrong password', async () => {
      const before = await refusals(world())
      const places = { ...(await uacAt()), edge: world().places.edge }
      const uac = await startUac({ ...places, username: 'pbx-x', password: WRONG })
      const list = `SEQUENTIAL\npbx-x;;${SERVICE}\n`
      const through = { local: places.extension, to: places.local, calls: 1, list }
      await succeeds(await startSipp({ scenario: 'refusedExtensionCaller', ...through }))
      // One call; and the registration, in its own time.
      for (const end = Date.now() + 10_000; Date.now() < end; await sleep(50)) {
        if ((await refusals(world())) >= before + 2) break
      }
      const seen = await seenOf(world(), 'pbx-x', before)
      expect(seen.binding).toBeUndefined()
      expect(seen.refused).toBeGreaterThanOrEqual(2)
      await uac.stop()
    })
  })

  describeWith('linphone with SHA-256', ['linphone-daemon', 'sipp'], () => {
    it('registers, is called, and calls', async () => {
      const { phone, local } = await linphoneOf(world(), 'linphone', PASSWORD)
      await phone.until('register-status ALL', /LinphoneRegistrationOk/)
      const binding = await reach(world(), 'linphone')
      const contact = `sip:linphone@127.0.0.1:${local.port};transport=udp`
      expect(binding).toEqual({ contact, path: flowOf(world()) })
      const service = await world().serve(1)
      await phone.until(`call sip:${SERVICE}@example.org`, /Status: Ok/)
      // The service offers no audio, which is a pause.
      await phone.until('call-status', /LinphoneCallPausedByRemote/)
      await phone.until('terminate', /Status: Ok/)
      expect(await servedBy(service)).not.toMatch(CREDENTIALS)
      await phone.stop()
    })

    it('is refused with a wrong password', async () => {
      const before = await refusals(world())
      const { phone } = await linphoneOf(world(), 'linphone-x', WRONG)
      await phone.until('register-status ALL', /LinphoneRegistrationFailed/)
      await phone.until(`call sip:${SERVICE}@example.org`, /Status: Ok/)
      await phone.until('pop-event', /LinphoneCallError/)
      const seen = await seenOf(world(), 'linphone-x', before)
      expect(seen.binding).toBeUndefined()
      expect(seen.refused).toBeGreaterThanOrEqual(2)
      await phone.stop()
    })
  })

  describeWith('sipsak', ['sipsak', 'sipp'], () => {
    it('registers and calls', async () => {
      const local = await phoneAt('127.0.0.1')
      const phone = { local, edge: world().places.edge, username: 'sipsak', password: PASSWORD }
      expect(await runSipsak({ ...phone, method: 'REGISTER' })).toMatchObject({ code: 0 })
      // It answers no calls; that it can be called shows one who takes its place.
      const callee = await startSipp({ scenario: 'sessionCallee', local, calls: 1 })
      const binding = await reach(world(), 'sipsak', callee)
      expect(binding).toEqual({ contact: `sip:sipsak@127.0.0.1:${local.port}`, path: flowOf(world()) })
      const service = await world().serve(1, 'decliningCallee')
      const { output } = await runSipsak({ ...phone, method: 'INVITE', callee: SERVICE })
      expect(output).toContain('SIP/2.0 486 Busy Here')
      expect(await servedBy(service)).not.toMatch(CREDENTIALS)
    })

    it('is refused with a wrong password', async () => {
      const local = await phoneAt('127.0.0.1')
      const before = await refusals(world())
      const phone = { local, edge: world().places.edge, username: 'sipsak-x', password: WRONG }
      for (const method of ['REGISTER', 'INVITE'] as const) {
        const { code, output } = await runSipsak({ ...phone, method, callee: SERVICE })
        expect(code).not.toBe(0)
        expect(output).toContain('SIP/2.0 403 Forbidden')
      }
      const seen = await seenOf(world(), 'sipsak-x', before)
      expect(seen.binding).toBeUndefined()
      expect(seen.refused).toBeGreaterThanOrEqual(2)
    })
  })
}
