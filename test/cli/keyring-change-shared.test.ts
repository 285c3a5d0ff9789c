import { expect, it } from 'vitest'
import { acknowledge, awaitNodes } from '../../src/cli/acknowledge.ts'
import { changeKeyring } from '../../src/cli/keyring-change.ts'
import type { KeyringTarget } from '../../src/cli/keyring-target.ts'
import { removeKey, setKeySetting } from '../../src/keyring/edit-toml.ts'
import type { Heartbeat, KeyringStore } from '../../src/keyring/keyring-store.ts'
import { sealKeyring, unsealKeyring } from '../../src/keyring/seal.ts'
import { createMemoryKeyringStore } from '../../src/stores/keyring-store-memory.ts'
import { KEK, PLAIN, sealed, SOURCE } from '../support/sealed.ts'

const NOW = new Date('2026-11-21T12:00:00Z')

async function storeWith(text: string): Promise<KeyringStore> {
  const store = createMemoryKeyringStore({ name: 'main', now: () => NOW })
  await store.replace({ before: 'empty', after: { text, revision: 1 }, audit: '{}' })
  return store
}
const target = (store: KeyringStore): KeyringTarget => ({
  path: store.place,
  directory: '.',
  store,
  now: NOW,
  kek: SOURCE,
  resolve: () => Buffer.alloc(0),
})
const expire = (text: string): string =>
  setKeySetting(text, { group: 'Trunk-A', name: '2026-q3' }, 'expires', '2026-12-31T00:00:00Z')
const CHANGE = { audit: { command: 'test' }, change: expire }
const revisionOf = async (store: KeyringStore): Promise<number> => {
  const found = await store.read()
  return found === 'empty' ? 0 : found.revision
}

it('a change is made on what is there, and told in the audit with its revision', async () => {
  const store = await storeWith(sealed())
  const text = await changeKeyring(target(store), CHANGE)
  expect(await store.read()).toEqual({ text, revision: 2 })
  expect((await store.audit(1)).map((line): unknown => JSON.parse(line))).toMatchObject([
    { command: 'test', revision: 2 },
  ])
})

it('a change is made again where somebody else was faster, on what that one left', async () => {
  const store = await storeWith(sealed())
  let faster = 2
  const seen: number[] = []
  const text = await changeKeyring(target(store), {
    audit: { command: 'slow' },
    prepare: async () => {
      seen.push(await revisionOf(store))
    },
    change: (before) => {
      if (faster-- > 0) {
        // Between reading and replacing: nothing waits for the promise, as with another process.
        const after = sealKeyring(before, { kek: KEK, open: SOURCE })
        const revision = seen.at(-1)! + 1
        void store.replace({ before: revision - 1, after: { text: after, revision }, audit: '{}' })
      }
      return expire(before)
    },
  })
  expect(seen).toEqual([1, 2, 3])
  expect(await store.read()).toEqual({ text, revision: 4 })
})

it('a change gives up where others always are, and has changed nothing', async () => {
  const store = await storeWith(sealed())
  const busy: KeyringStore = { ...store, replace: async () => 'conflict' }
  await expect(changeKeyring(target(busy), CHANGE)).rejects.toMatchObject({
    name: 'RefusedError',
    message: expect.stringContaining('nothing is changed, try again') as string,
  })
  expect(await revisionOf(store)).toBe(1)
})

it.each([
  { outcome: 'it is', told: 'done', revision: 2 },
  { outcome: 'it is not', told: 'it does not answer', revision: 1 },
  { outcome: 'nobody knows', told: 'whether the change is in is unknown', revision: 2 },
])('finds out whether it is in, where the answer was lost: $outcome', async ({ outcome, told, revision }) => {
  const store = await storeWith(sealed())
  let isAway = false
  const lossy: KeyringStore = {
    ...store,
    async read() {
      if (isAway && outcome === 'nobody knows') throw new Error('it does not answer')
      return store.read()
    },
    async replace(change) {
      if (outcome !== 'it is not') await store.replace(change)
      isAway = true
      throw new Error('it does not answer')
    },
  }
  const end = await changeKeyring(target(lossy), CHANGE).then(
    () => 'done',
    (error: unknown) => String(error),
  )
  expect(end).toContain(told)
  expect(await revisionOf(store)).toBe(revision)
})

it.each<readonly [string, (text: string) => string, RegExp]>([
  ['plaintext', (text) => unsealKeyring(text, SOURCE), /only a sealed keyring|not sealed/],
  ['another name', () => sealKeyring(PLAIN, { kek: KEK, keyring: 'other', revision: 2 }), /seal\.keyring/],
  ['one that lacks a revoked key', (text) => removeKey(text, { group: 'gw 1', name: 'stolen' }), /stolen/],
])('%s is refused', async (_, change, message) => {
  const store = await storeWith(sealed())
  await expect(changeKeyring(target(store), { ...CHANGE, change })).rejects.toThrow(message)
  expect(await revisionOf(store)).toBe(1)
})

it('where the store cannot be asked who has a change, that is unknown', async () => {
  const store = await storeWith(sealed())
  const mute: KeyringStore = { ...store, heartbeats: () => Promise.reject(new Error('it does not answer')) }
  expect(await awaitNodes(mute, { revision: 1 }, { wait: 0.1 })).toMatchObject({
    acknowledged: [],
    missing: [],
    unknown: 'it does not answer',
  })
})

/** A node of that revision and keyring, whose clock is the store's. */
const heartbeat = (at: Date, revision: number, keyring = 'aaaaaaaa'): Heartbeat => ({
  report: { node: 'n1', at, since: at, keys: [], groups: [], uses: [], revision },
  keyring,
  version: '0',
})

it('where the store has lost what a node has in force, the node has not what came after that', async () => {
  const store = createMemoryKeyringStore({ name: 'main', now: () => new Date() })
  await store.replace({ before: 'empty', after: { text: sealed(), revision: 1 }, audit: '{}' })
  await store.beat(heartbeat(new Date(), 3))
  const told = await awaitNodes(store, { revision: 2, keyring: 'bbbbbbbb' }, { wait: 0 })
  expect(told).toMatchObject({ acknowledged: [], missing: [{ node: 'n1', revision: 3 }] })
})

it('where another operator has changed it since, a node has it with that change', async () => {
  const store = createMemoryKeyringStore({ name: 'main', now: () => new Date() })
  await store.replace({ before: 'empty', after: { text: sealed(), revision: 1 }, audit: '{}' })
  await changeKeyring(target(store), CHANGE)
  await store.beat(heartbeat(new Date(), 2))
  expect(await awaitNodes(store, { revision: 1, keyring: 'bbbbbbbb' }, { wait: 0 })).toMatchObject({
    missing: [],
    acknowledged: ['n1'],
  })
})

/** A clock that is ten minutes behind. */
const late = (): Date => new Date(Date.now() - 600_000)

it('where the clock of this machine is ahead of all others, what it has ended has not ended there', async () => {
  const store = createMemoryKeyringStore({ name: 'main', now: late })
  await store.beat(heartbeat(late(), 1))
  const told = await awaitNodes(store, { revision: 1, keyring: 'aaaaaaaa' }, { wait: 0 })
  expect(told).toMatchObject({ acknowledged: [], missing: [{ node: 'n1', status: 'current' }] })
  expect(Math.round(told.ahead / 1000)).toBe(600)
})

it('of a keyring in a file nobody is waited for', async () => {
  const { store: _, ...inFile } = target(await storeWith(sealed()))
  expect(await acknowledge(inFile, sealed(), { wait: 10 })).toBeUndefined()
})
