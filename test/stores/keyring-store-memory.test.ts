import { describe, expect, it } from 'vitest'
import { createMemoryKeyringStore } from '../../src/stores/keyring-store-memory.ts'
import { heartbeat, keyringStoreContract, put, revision } from '../support/contracts/keyring-store.ts'

keyringStoreContract(() => {
  const store = createMemoryKeyringStore({ name: 'main', now: () => new Date() })
  return { store, other: store, close: () => store.close() }
})

describe('a keyring store in memory', () => {
  it('dates heartbeats by its own clock', async () => {
    let now = new Date('2026-11-21T12:00:00Z')
    const store = createMemoryKeyringStore({ name: 'main', now: () => now })
    const { report, ...rest } = heartbeat('n1')
    await store.beat({ ...rest, report: { ...report, at: new Date('2026-11-21T12:00:02Z') } })
    now = new Date('2026-11-21T12:00:09Z')
    expect((await store.heartbeats()).get('n1')).toMatchObject({ age: 9000, ahead: 2000 })
  })

  it('keeps the last 10,000 lines of the audit', async () => {
    const store = createMemoryKeyringStore({ name: 'main', now: () => new Date() })
    await put(store, revision(1))
    for (let i = 0; i < 10_000; i++) await store.note(String(i))
    const lines = await store.audit(20_000)
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([10_000, '0', '9999'])
  })
})
