import { describe, expect, it, vi } from 'vitest'
import type { Account, CredentialQuery, CredentialStore } from '../../src/digest/credential-store.ts'
import { parseCredentials } from '../../src/digest/toml-credentials.ts'
import { createPending, type Work } from '../../src/edge/pending.ts'
import { parseExposition } from '../support/exposition.ts'
import {
  authenticated,
  challengeOf,
  credentialsLine,
  openPhone,
  phoneRequest,
  startUsers,
  USERS,
  type UsersRig,
} from '../support/users-rig.ts'

/** A store that answers when it is told to. */
function slowStore() {
  const accounts = parseCredentials(USERS)
  const asked: { readonly query: CredentialQuery; answer(): void; fail(): void }[] = []
  const store: CredentialStore = {
    find: (query) =>
      new Promise<Account | undefined>((resolve, reject) => {
        asked.push({
          query,
          answer: () => resolve(accounts.find(query)),
          fail: () => reject(new Error('the database is gone')),
        })
      }),
  }
  return { store, asked }
}

async function valueOf(rig: UsersRig, name: string): Promise<number | undefined> {
  return parseExposition(await rig.metrics.registry.metrics()).get(name)?.samples[0]?.value
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const arrived = (asked: readonly unknown[], count: number): Promise<void> =>
  vi.waitFor(() => expect(asked).toHaveLength(count), { timeout: 5000, interval: 5 })

describe('a store of accounts that takes its time', () => {
  it('is asked once for a request and its retransmissions, and what follows it waits', async () => {
    const { store, asked } = slowStore()
    const rig = await startUsers({ credentials: store })
    const own = { callId: 'slow', cseq: 2, branch: 'z9hG4bKslow' }
    await rig.phone.send(phoneRequest('INVITE', { ...own, branch: 'z9hG4bKfirst' }), rig.trunkAt)
    const line = credentialsLine(challengeOf(await rig.phone.receive()), 'INVITE', 'sip:bob@example.org')
    const invite = phoneRequest('INVITE', { ...own, add: [line] })
    await rig.phone.send(invite, rig.trunkAt)
    await rig.phone.send(invite, rig.trunkAt)
    await rig.phone.send(phoneRequest('CANCEL', own), rig.trunkAt)
    await rig.phone.send(invite, rig.trunkAt)
    await rig.settle()
    expect(asked).toHaveLength(1)
    expect(await valueOf(rig, 'xkeys_digest_pending')).toBe(2)
    asked[0]!.answer()
    expect((await rig.upstream.receive()).message.method).toBe('INVITE')
    expect((await rig.upstream.receive()).message.method).toBe('CANCEL')
    expect((await rig.settle()).upstream).toEqual([])
    expect(await valueOf(rig, 'xkeys_digest_pending')).toBe(0)
  })

  it('holds up neither other calls nor trunks', async () => {
    const { store, asked } = slowStore()
    const rig = await startUsers({ credentials: store })
    await authenticated(rig, rig.phone, 'INVITE')
    await arrived(asked, 1)
    await authenticated(rig, rig.phone, 'OPTIONS')
    await arrived(asked, 2)
    asked[1]!.answer()
    expect((await rig.upstream.receive()).message.method).toBe('OPTIONS')
    await rig.settle()
    asked[0]!.answer()
    expect((await rig.upstream.receive()).message.method).toBe('INVITE')
  })

  it('that fails is 503 with Retry-After, never an accept', async () => {
    const { store, asked } = slowStore()
    const rig = await startUsers({ credentials: store })
    await authenticated(rig, rig.phone, 'REGISTER')
    await arrived(asked, 1)
    asked[0]!.fail()
    const { message } = await rig.phone.receive()
    expect(message.status).toBe(503)
    expect(message.headers('Retry-After')).toHaveLength(1)
    expect((await rig.settle()).upstream).toEqual([])
    expect(rig.decisions.map(({ reason }) => reason)).toContain('store-unavailable')
  })

  it('has a bounded number of requests waiting, of one source and of all', async () => {
    const { store, asked } = slowStore()
    const rig = await startUsers({ credentials: store, users: 'pending = 3\npending_per_source = 2' })
    const challenge = async (): Promise<string> => {
      await rig.phone.send(phoneRequest('REGISTER'), rig.trunkAt)
      return challengeOf(await rig.phone.receive())
    }
    const challenges = [await challenge(), await challenge(), await challenge()]
    for (const text of challenges) {
      const line = credentialsLine(text, 'REGISTER', 'sip:example.org')
      await rig.phone.send(phoneRequest('REGISTER', { add: [line] }), rig.trunkAt)
    }
    expect((await rig.phone.receive()).message.status).toBe(503)
    expect(asked).toHaveLength(2)
    expect(await valueOf(rig, 'xkeys_digest_pending')).toBe(2)
    expect(await valueOf(rig, 'xkeys_digest_pending_overflows_total')).toBe(1)
    for (const question of asked) question.answer()
    await rig.upstream.receive()
    await rig.upstream.receive()
    // There is room again.
    expect(await challenge()).toContain('Digest')
  })

  it('answers nobody any more when the edge closes, and nothing new while it drains', async () => {
    const { store, asked } = slowStore()
    const rig = await startUsers({ credentials: store })
    await authenticated(rig, rig.phone, 'REGISTER')
    await arrived(asked, 1)
    rig.edge.drain()
    const other = await openPhone()
    await other.send(phoneRequest('REGISTER'), rig.trunkAt)
    expect((await other.receive()).message.status).toBe(503)
    await rig.edge.close()
    asked[0]!.answer()
    await new Promise((resolve) => setImmediate(resolve))
    expect(rig.events.filter(({ event }) => event === 'socket-error')).toEqual([])
  })
})

describe('pending requests', () => {
  interface Asked extends Work<string> {
    answer(decision: string): void
    fail(): void
  }
  const log: string[] = []
  function work(call: string, transaction: string, source = 's'): Asked {
    let answer!: (decision: string) => void
    let fail!: () => void
    const decision = new Promise<string>((resolve, reject) => {
      answer = resolve
      fail = () => reject(new Error('broken'))
    })
    return {
      call,
      transaction,
      source,
      judge: () => {
        log.push(`judge ${transaction}`)
        return decision
      },
      act: (found) => {
        log.push(`${transaction} ${found}`)
        if (found === 'throw') throw new Error('a bug')
      },
      answer,
      fail,
    }
  }

  it('of one call are judged one after the other; what throws holds up nothing', async () => {
    log.length = 0
    const errors: unknown[] = []
    const pending = createPending<string>({
      capacity: 9,
      perSource: 9,
      onError: (error) => errors.push(error),
    })
    const [a, b, c, d] = [work('1', 'a'), work('1', 'b'), work('1', 'c'), work('2', 'd')]
    expect([a, b, c, d, b].map((each) => pending.take(each))).toEqual([
      'waits',
      'waits',
      'waits',
      'waits',
      'absorbed',
    ])
    expect(log).toEqual(['judge a', 'judge d'])
    c.answer('done')
    a.answer('throw')
    await turn()
    b.fail()
    d.answer('done')
    await turn()
    await turn()
    const ofFirstCall = log.filter((line) => line !== 'd done' && line !== 'judge d')
    expect(ofFirstCall).toEqual(['judge a', 'a throw', 'judge b', 'judge c', 'c done'])
    expect(log).toContain('d done')
    expect(errors).toHaveLength(2)
    expect(pending.size).toBe(0)
    expect(pending.take(work('1', 'a'))).toBe('waits')
  })

  it('that are decided at once need no room', () => {
    const pending = createPending<string>({ capacity: 1, perSource: 1, onError: () => {} })
    const acted: string[] = []
    const now: Work<string> = {
      ...work('1', 'a'),
      judge: () => 'now',
      act: (decision) => void acted.push(decision),
    }
    expect([pending.take(now), pending.take(now)]).toEqual(['decided', 'decided'])
    expect(acted).toEqual(['now', 'now'])
    expect(pending.size).toBe(0)
  })

  it('are not acted on any more once it is closed', async () => {
    log.length = 0
    const pending = createPending<string>({ capacity: 9, perSource: 9, onError: () => {} })
    const [a, b] = [work('1', 'a'), work('1', 'b')]
    pending.take(a)
    pending.take(b)
    pending.close()
    a.answer('done')
    await turn()
    expect(log).toEqual(['judge a'])
    expect(pending.size).toBe(0)
  })
})
