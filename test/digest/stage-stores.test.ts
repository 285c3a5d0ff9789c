import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { HASH_ALGORITHMS } from '../../src/digest/algorithm.ts'
import type { CredentialStore } from '../../src/digest/credential-store.ts'
import { createFailures } from '../../src/digest/failures.ts'
import { computeHa1 } from '../../src/digest/response.ts'
import type { Verdict } from '../../src/pipeline/stage.ts'
import { contextOf } from '../support/messages.ts'
import { answerTo, PASSWORD, type AnswerInput } from './client.ts'
import { attempt, challengeIn, createRig, requestBytes, START, store, www, type Rig } from './stage.ts'

const later = (find: CredentialStore['find']): CredentialStore => ({
  find: async (query) => find(query),
})

const settle = async (rig: Rig, answer: AnswerInput = {}): Promise<Verdict> => {
  const challenge = challengeIn(rig.judge(requestBytes()))
  return rig.stage.judge(contextOf(requestBytes({ add: [www(answerTo(challenge, answer))] })))
}

const broken = (): never => {
  throw new Error(`cannot reach the store of ${PASSWORD}`)
}

describe('stores', () => {
  it('may answer later', async () => {
    const rig = createRig({ credentials: later((query) => store.find(query)) })
    expect(await settle(rig)).toMatchObject({ verdict: 'accept' })
    expect(await settle(rig, { username: 'nobody' })).toMatchObject({ reason: 'user-unknown' })
  })

  it.each([
    ['throws', { find: broken }],
    ['rejects', later(broken)],
  ])('P16: a credential store that %s is 503, never an accept', async (_, credentials) => {
    const failures = createFailures({ perSource: 1, now: () => 0 })
    const rig = createRig({ credentials, failures })
    expect(await settle(rig)).toEqual({
      verdict: 'reject',
      status: 503,
      reason: 'store-unavailable',
      headers: [['Retry-After', '5']],
    })
    expect(failures.banned).toBe(0)
    expect(JSON.stringify(rig.events)).not.toContain(PASSWORD)
  })

  it.each([
    ['throws', { claim: broken }],
    ['rejects', { claim: async () => broken() }],
  ])('claims that %s are 503', async (_, claims) => {
    expect(await settle(createRig({ claims }))).toMatchObject({ status: 503, reason: 'claims-unavailable' })
  })

  it.each(['new', 'same'] as const)(
    'claims that turn out to have lost what they held: %s',
    async (result) => {
      let since: Date | undefined
      const rig = createRig({
        claims: {
          get since() {
            return since
          },
          claim: async () => {
            since = new Date(START + 1)
            return result
          },
        },
      })
      // What is known is known; what is new may have been claimed before.
      const expected = { new: 'challenged: nonce-stale', same: 'accepted' }
      await settle(rig)
      expect(rig.last()).toBe(expected[result])
    },
  )

  it.each(['new', 'same', 'other', 'full'] as const)('claims may answer %s later', async (result) => {
    const rig = createRig({ claims: { claim: async () => result } })
    await settle(rig)
    const expected = {
      new: 'accepted',
      same: 'accepted',
      other: 'challenged: nonce-replayed',
      full: 'refused: claims-full',
    }
    expect(rig.last()).toBe(expected[result])
  })

  it('an account without an HA1 of the algorithm is refused as a wrong password is', () => {
    const credentials: CredentialStore = {
      find: () => ({ username: 'alice', status: 'active', ha1: undefined }),
    }
    expect(attempt(createRig({ credentials }))).toEqual({
      verdict: 'reject',
      status: 403,
      reason: 'ha1-missing',
    })
  })

  it('an HA1 of another algorithm is none', () => {
    const credentials: CredentialStore = { find: (query) => store.find({ ...query, algorithm: 'MD5' }) }
    expect(attempt(createRig({ credentials }))).toMatchObject({ reason: 'ha1-missing' })
    expect(attempt(createRig({ credentials }), { algorithm: 'MD5' }).verdict).toBe('accept')
  })
})

describe('brute force', () => {
  it('bans a source that guesses, with silence, and neither challenges nor stale nonces count', () => {
    const failures = createFailures({ perSource: 3, now: () => 0 })
    const rig = createRig({ failures })
    for (let i = 0; i < 10; i++) rig.judge(requestBytes())
    const challenge = challengeIn(rig.judge(requestBytes()))
    rig.pass(300_000)
    for (let i = 0; i < 10; i++) rig.judge(requestBytes({ add: [www(answerTo(challenge))] }))
    expect(rig.last()).toBe('challenged: nonce-stale')
    expect(failures.banned).toBe(0)
    for (let i = 0; i < 3; i++) attempt(rig, { password: 'guess' })
    expect(rig.events.at(-1)).toMatchObject({ event: 'refused', ban: 'source' })
    expect(rig.judge(requestBytes())).toEqual({ verdict: 'drop', reason: 'banned' })
    const elsewhere = { source: { address: '203.0.113.5', port: 5060 } }
    expect(rig.judge(requestBytes(), elsewhere).verdict).toBe('challenge')
  })

  it('guards a user against guesses from everywhere, but not where the user is known', () => {
    const failures = createFailures({ perSource: 100, perUser: 5, now: () => 0 })
    const rig = createRig({ failures })
    const challenge = challengeIn(rig.judge(requestBytes()))
    const ask = (address: string, answer: AnswerInput = {}): string => {
      rig.judge(requestBytes({ add: [www(answerTo(challenge, answer))] }), {
        source: { address, port: 5060 },
      })
      return rig.last()
    }
    expect(ask('192.0.2.1', { nc: '00000001' })).toBe('accepted')
    for (let i = 0; i < 5; i++) ask(`198.51.100.${i}`, { password: 'guess' })
    expect(ask('203.0.113.1', { nc: '00000002' })).toBe('dropped: banned')
    expect(ask('192.0.2.1', { nc: '00000003' })).toBe('accepted')
  })

  it('a copy of a right answer makes nobody known', () => {
    const failures = createFailures({ perSource: 100, perUser: 5, now: () => 0 })
    const rig = createRig({ failures })
    const challenge = challengeIn(rig.judge(requestBytes()))
    const bytes = requestBytes({ add: [www(answerTo(challenge))] })
    const thief = { source: { address: '203.0.113.1', port: 5060 } }
    rig.judge(bytes)
    rig.judge(bytes, thief)
    expect(rig.last()).toBe('challenged: nonce-replayed')
    for (let i = 0; i < 5; i++)
      rig.judge(requestBytes({ add: [www(answerTo(challenge, { password: 'guess' }))] }), {
        source: { address: `198.51.100.${i}`, port: 5060 },
      })
    rig.judge(bytes, thief)
    expect(rig.last()).toBe('dropped: banned')
  })
})

describe('T20: secrets', () => {
  it('are in no verdict and no event, whatever the outcome', () => {
    const rig = createRig({ onFailure: 'challenge' })
    const shown: string[] = []
    for (const answer of [
      {},
      { password: 'wrong' },
      { username: 'nobody' },
      { username: 'gone' },
      { uri: 'sip:x' },
    ])
      shown.push(inspect(attempt(rig, answer), { depth: 9 }))
    for (const event of rig.events)
      shown.push(inspect(event, { depth: 9, showHidden: true }), JSON.stringify(event))
    const secrets = [PASSWORD, 'xks_']
    for (const algorithm of HASH_ALGORITHMS)
      secrets.push(computeHa1(algorithm, 'alice', 'example.org', PASSWORD).toString('hex'))
    for (const text of shown) for (const secret of secrets) expect(text).not.toContain(secret)
  })
})
