/**
 * What every store of a shared keyring does.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Heartbeat, KeyringStore, StoredKeyring } from '../../../src/keyring/keyring-store.ts'
import type { Confirmation } from '../../../src/keyring/rotation.ts'
import { sealKeyring } from '../../../src/keyring/seal.ts'
import { errorFrom } from '../error-from.ts'
import { KEK, PLAIN, PLAIN_SECRETS } from '../sealed.ts'

/** A store under test. */
export interface KeyringStoreUnderTest {
  readonly store: KeyringStore
  /** A second way to the same store, as another node has it. */
  readonly other: KeyringStore
  close?(): void | Promise<void>
}

const made = new Map<string, StoredKeyring>()

/** `PLAIN`, or another text, sealed as `main` with a revision: the same each time. */
export function revision(number: number, toml: string = PLAIN): StoredKeyring {
  const id = `${number} ${toml}`
  const known = made.get(id) ?? {
    text: sealKeyring(toml, { kek: KEK, keyring: 'main', revision: number }),
    revision: number,
  }
  made.set(id, known)
  return known
}

/** A keyring that is put in, and its line in the audit. */
export const audited = (after: StoredKeyring): string =>
  JSON.stringify({ command: 'test', to: after.revision })

/** Puts keyrings in, each in the place of the one before; the first into an empty store. */
export async function put(store: KeyringStore, ...keyrings: readonly StoredKeyring[]): Promise<void> {
  for (const after of keyrings) {
    const found = await store.read()
    const before = found === 'empty' ? found : found.revision
    expect(await store.replace({ before, after, audit: audited(after) })).toBe('done')
  }
}

/** What a node tells. */
export function heartbeat(node: string, more: Partial<Heartbeat> = {}): Heartbeat {
  const at = new Date()
  const key = { group: 'g', key: 'k', fingerprint: '0badc0de' }
  const report = {
    node,
    at,
    since: new Date('2026-11-21T12:00:00Z'),
    keys: [{ ...key, since: at }],
    groups: [{ group: 'g', fingerprint: '0badcafe' }],
    uses: [{ ...key, peer: 'carrier', lastVerified: at }],
    revision: 3,
  }
  return { report, keyring: 'aabbccdd', version: '0.1.0', ...more }
}

const confirmation = (peer: string, fingerprint: string, by = 'alice'): Confirmation => ({
  group: 'Trunk-A',
  key: '2026-q4',
  fingerprint,
  peer,
  at: new Date('2026-11-21T12:00:00Z'),
  by,
})
const always = (): boolean => true

/** The paths of what a store speaks against. */
async function refusal(
  store: KeyringStore,
  change: { readonly before?: number; readonly after: StoredKeyring },
): Promise<readonly string[]> {
  const error = await errorFrom(store.replace({ before: 'empty', audit: '{}', ...change }))
  for (const secret of PLAIN_SECRETS) expect(error.message).not.toContain(secret)
  return error.issues.map(({ path }) => path)
}

/** The contract. @param open makes an empty store of the keyring `main` */
export function keyringStoreContract(
  open: () => KeyringStoreUnderTest | Promise<KeyringStoreUnderTest>,
): void {
  describe('the contract of keyring stores', () => {
    let opened: KeyringStoreUnderTest
    let store: KeyringStore
    let other: KeyringStore
    const [one, two, three] = [revision(1), revision(2), revision(3)]

    beforeEach(async () => {
      opened = await open()
      ;({ store, other } = opened)
    })
    afterEach(() => opened.close?.())

    it('is empty at first, and says so', async () => {
      expect(await store.read()).toBe('empty')
      expect(await store.audit(10)).toEqual([])
      expect(await store.heartbeats()).toEqual(new Map())
      expect(await store.confirmations()).toEqual([])
    })

    it('gives back what was put in, to everybody', async () => {
      await put(store, one)
      expect(await store.read()).toEqual(one)
      expect(await other.read()).toEqual(one)
      await put(other, two)
      expect(await store.read()).toEqual(two)
      expect(await store.read()).toEqual(two)
    })

    it('takes a change only in the place of what it was made of', async () => {
      await put(store, one, two)
      for (const before of [1, 'empty', 3] as const) {
        const after = revision(4)
        expect(await other.replace({ before, after, audit: '{}' })).toBe('conflict')
      }
      expect(await store.read()).toEqual(two)
      expect(await store.audit(10)).toEqual([audited(one), audited(two)])
    })

    it('takes one of several that change it at once', async () => {
      await put(store, one)
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, i) => {
          const after = revision(2, `${PLAIN}# ${i}\n`)
          return [store, other][i % 2]!.replace({ before: 1, after, audit: `{"i":${i}}` })
        }),
      )
      expect(results.toSorted()).toEqual([...Array.from({ length: 7 }, () => 'conflict'), 'done'])
      const found = await store.read()
      const winner = results.indexOf('done')
      expect(found === 'empty' ? '' : found.text).toContain(`# ${winner}\n`)
      expect(await other.audit(10)).toEqual([audited(one), `{"i":${winner}}`])
    })

    it('takes one of several that seed it at once', async () => {
      const results = await Promise.all(
        [store, other, store].map((each) => each.replace({ before: 'empty', after: one, audit: '{}' })),
      )
      expect(results.toSorted()).toEqual(['conflict', 'conflict', 'done'])
    })

    describe('refuses', () => {
      it('what is not sealed, or not all of it', async () => {
        expect(await refusal(store, { after: { text: PLAIN, revision: 1 } })).toContain('seal')
        const slip = `${one.text}\n[[groups.g.keys]]\nname = "slip"\nvalue = "${PLAIN_SECRETS[0]}"\n`
        expect(await refusal(store, { after: { text: slip, revision: 1 } })).toEqual([
          'groups.g.keys[0].value',
        ])
        expect(await refusal(store, { after: { text: 'a = [', revision: 1 } })).toHaveLength(1)
        expect(await store.read()).toBe('empty')
      })

      it('another revision than it says, an older one, another name', async () => {
        expect(await refusal(store, { after: { ...one, revision: 2 } })).toEqual(['seal.revision'])
        await put(store, one, three)
        expect(await refusal(store, { before: 3, after: two })).toEqual(['seal.revision'])
        expect(await refusal(store, { before: 3, after: three })).toEqual(['seal.revision'])
        const text = sealKeyring(PLAIN, { kek: KEK, keyring: 'another', revision: 4 })
        expect(await refusal(store, { before: 3, after: { text, revision: 4 } })).toEqual(['seal.keyring'])
        expect(await store.read()).toEqual(three)
      })

      it('that a revoked key goes or comes back', async () => {
        await put(store, one)
        const path = 'groups."gw 1".keys.stolen'
        const back = revision(2, PLAIN.replace('revoked = true\n', ''))
        expect(await refusal(store, { before: 1, after: back })).toEqual([path])
        const later = revision(2, PLAIN.replace('revoked = true', 'revoked = 2099-10-01T00:00:00Z'))
        expect(await refusal(store, { before: 1, after: later })).toEqual([path])
        const gone = revision(2, PLAIN.replaceAll(/\[\[groups\."gw 1"\.keys\]\]\n[^[]*/g, ''))
        expect(await refusal(store, { before: 1, after: gone })).toEqual([path])
        expect(await store.read()).toEqual(one)
      })
    })

    it('keeps the last lines of the audit, oldest first', async () => {
      await put(store, one)
      await other.note('{"command":"fleet export"}')
      await put(store, two)
      expect(await other.audit(2)).toEqual(['{"command":"fleet export"}', audited(two)])
      expect(await other.audit(10)).toHaveLength(3)
      expect(await other.audit(0)).toEqual([])
    })

    it('tells those who follow, until they do not', async () => {
      const told = vi.fn<() => void>()
      const following = other.follow(told)
      await vi.waitFor(() => expect(told).toHaveBeenCalled(), 10_000)
      told.mockClear()
      await put(store, one)
      await vi.waitFor(() => expect(told).toHaveBeenCalledTimes(1), 10_000)
      following.close()
      const second = vi.fn<() => void>()
      const again = other.follow(second)
      await vi.waitFor(() => expect(second).toHaveBeenCalled(), 10_000)
      second.mockClear()
      await put(store, two)
      await vi.waitFor(() => expect(second).toHaveBeenCalledTimes(1), 10_000)
      again.close()
      expect(told).toHaveBeenCalledTimes(1)
    })

    it('keeps the last heartbeat of each node, until it is forgotten', async () => {
      const [first, last, refusing] = [
        heartbeat('n1'),
        heartbeat('n1', { keyring: '11223344' }),
        heartbeat('n2', { refuses: 'no-kek' }),
      ]
      await store.beat(first)
      await store.beat(last)
      await store.beat(refusing)
      const found = await other.heartbeats()
      expect([...found.keys()].toSorted()).toEqual(['n1', 'n2'])
      expect(found.get('n1')).toMatchObject({ ...last })
      expect(found.get('n2')).toMatchObject({ ...refusing })
      expect(found.get('n1')).not.toHaveProperty('refuses')
      expect(await other.forget('n1')).toBe(true)
      expect(await other.forget('n1')).toBe(false)
      expect([...(await store.heartbeats()).keys()]).toEqual(['n2'])
    })

    it('tells how far a clock is ahead, and how old a heartbeat is', async () => {
      const { report, ...rest } = heartbeat('n1')
      const ahead = 3_600_000
      await store.beat({ ...rest, report: { ...report, at: new Date(Date.now() + ahead) } })
      const found = [...(await store.heartbeats()).values()].filter((each) => each !== 'damaged')
      expect(found).toHaveLength(1)
      for (const beat of found) {
        expect(Math.abs(beat.ahead - ahead)).toBeLessThan(60_000)
        expect(beat.age).toBeGreaterThanOrEqual(0)
        expect(beat.age).toBeLessThan(60_000)
      }
    })

    it('keeps one confirmation for each key and peer, and drops what is not live', async () => {
      await store.confirm(confirmation('carrier', '11111111'), always)
      await other.confirm(confirmation('carrier', '22222222'), always)
      await store.confirm(confirmation('other', '11111111'), always)
      await store.confirm(confirmation('carrier', '11111111', 'bob'), always)
      const found = await other.confirmations()
      expect(found).toHaveLength(3)
      expect(found).toContainEqual(confirmation('carrier', '11111111', 'bob'))
      await store.confirm(confirmation('new', '22222222'), ({ fingerprint }) => fingerprint !== '11111111')
      expect((await other.confirmations()).map(({ peer }) => peer).toSorted()).toEqual(['carrier', 'new'])
    })

    it('is told by a place', () => {
      expect(store.place).toContain('main')
    })
  })
}
