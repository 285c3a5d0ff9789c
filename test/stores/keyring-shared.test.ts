import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ConfigError } from '../../src/errors.ts'
import type { KeyringStore, StoredKeyring } from '../../src/keyring/keyring-store.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { sealKeyring } from '../../src/keyring/seal.ts'
import {
  openSharedKeyring,
  type SharedKeyring,
  type SharedKeyringOptions,
} from '../../src/stores/keyring-shared.ts'
import { createMemoryKeyringStore } from '../../src/stores/keyring-store-memory.ts'
import { openRedisKeyringStore } from '../../src/stores/redis-keyring.ts'
import { acceptRevision } from '../../src/stores/revision-file.ts'
import { put } from '../support/contracts/keyring-store.ts'
import { errorFrom } from '../support/error-from.ts'
import { folderWith } from '../support/folder.ts'
import { describePeers } from '../support/peers.ts'
import { openProxy, startRedis } from '../support/redis.ts'
import { KEK, OTHER_KEK, SOURCE } from '../support/sealed.ts'
import { SECRETS } from '../support/signed-messages.ts'

const NOW = new Date('2026-11-21T12:00:00Z')
const key = (name: string, more = '', secret: string = SECRETS.new): string =>
  `[[groups.g.keys]]\nname = "${name}"\nvalue = "${secret}"\n${more}\n`
const seal = (revision: number, toml: string, kek = KEK): StoredKeyring => ({
  text: sealKeyring(toml, { kek, keyring: 'main', revision }),
  revision,
})
const until = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 10 })

/** A store that can be made to say anything. */
interface Fickle {
  readonly store: KeyringStore
  /** What it says; an error: it rejects with it. */
  says: StoredKeyring | 'empty' | Error
  /** Tells that it may have changed. */
  tell(): void
  reads: number
}

function fickle(first: Fickle['says']): Fickle {
  let onChange: (() => void) | undefined
  const made: Fickle = {
    says: first,
    reads: 0,
    tell: () => onChange?.(),
    store: {
      ...createMemoryKeyringStore({ name: 'main', now: () => NOW }),
      async read() {
        made.reads++
        if (made.says instanceof Error) throw made.says
        return made.says
      },
      follow(tell) {
        onChange = tell
        return {
          close: () => {
            onChange = undefined
          },
        }
      },
    },
  }
  return made
}

interface Node {
  readonly live: SharedKeyring
  readonly loads: string[]
  readonly failures: ConfigError[]
  readonly events: string[]
  names(): string
}

const namesOf = (ring: Keyring): string =>
  ring.groups.flatMap((group) => ring.keys(group).map(({ name }) => name)).join()

async function open(store: KeyringStore, more: Partial<SharedKeyringOptions> = {}): Promise<Node> {
  const loads: string[] = []
  const failures: ConfigError[] = []
  const events: string[] = []
  const live = await openSharedKeyring(store, {
    kek: SOURCE,
    now: () => NOW,
    onLoaded: (ring, change) => loads.push(change === 'same' ? 'same' : namesOf(ring)),
    onFailed: (error) => failures.push(error),
    onStore: (event) => events.push(event),
    ...more,
  })
  onTestFinished(() => live.close())
  return { live, loads, failures, events, names: () => namesOf(live.keyring()) }
}

/** Where a node has its copy. */
const place = (): string => join(folderWith({}), 'edge-1.keyring')

/** Long enough for a look to have come to its end. */
async function looked(node: Fickle): Promise<void> {
  const { reads } = node
  node.tell()
  await until(() => expect(node.reads).toBeGreaterThan(reads))
  await new Promise((next) => setImmediate(next))
}

describe('a shared keyring', () => {
  it('follows the store', async () => {
    const store = createMemoryKeyringStore({ name: 'main', now: () => NOW })
    await put(store, seal(1, key('first')))
    const node = await open(store)
    expect(node.names()).toBe('first')
    expect(node.live.keyring().revision).toBe(1)
    await put(store, seal(2, key('first') + key('second')))
    await until(() => expect(node.names()).toBe('first,second'))
    expect(node.live.status()).toMatchObject({
      failing: false,
      store: 'here',
      revision: 2,
      reloads: { ok: 1, failed: 0 },
      loadedAt: NOW,
      reachedAt: NOW,
    })
    expect([node.loads, node.failures, node.events]).toEqual([['first,second'], [], []])
  })

  it('finds a change that nobody tells of', { timeout: 30_000 }, async () => {
    const there = fickle(seal(1, key('first')))
    const node = await open(there.store)
    there.says = seal(2, key('second'))
    await until(() => expect(node.names()).toBe('second'))
  })

  it('reads one at a time, however often it is told', async () => {
    const there = fickle(seal(1, key('first')))
    let [under, most] = [0, 0]
    const node = await open({
      ...there.store,
      async read() {
        most = Math.max(most, ++under)
        await new Promise((next) => setImmediate(next))
        under--
        return there.store.read()
      },
    })
    there.says = seal(2, key('second'))
    for (let i = 0; i < 100; i++) there.tell()
    await until(() => expect(node.names()).toBe('second'))
    expect(most).toBe(1)
    expect(there.reads).toBeLessThan(10)
  })

  it('stays as it is while the store is away, and says so once at either end', async () => {
    const there = fickle(seal(1, key('first')))
    const node = await open(there.store)
    there.says = new Error('gone')
    await looked(there)
    await looked(there)
    expect([node.names(), node.events]).toEqual(['first', ['away']])
    expect(node.live.status().store).toBe('away')
    there.says = seal(2, key('second'))
    await looked(there)
    expect([node.names(), node.events, node.failures]).toEqual(['second', ['away', 'back'], []])
  })

  it('is never empty, and never older', async () => {
    const there = fickle(seal(5, key('first')))
    const node = await open(there.store)
    there.says = 'empty'
    await looked(there)
    there.says = seal(4, key('old'))
    await looked(there)
    await looked(there)
    expect([node.names(), node.events, node.loads]).toEqual(['first', ['empty', 'older'], []])
    expect(node.live.status()).toMatchObject({ store: 'older', failing: false, revision: 5 })
    there.says = seal(6, key('next'))
    await looked(there)
    expect([node.names(), node.events]).toEqual(['next', ['empty', 'older', 'back']])
  })

  describe('refuses, tells it once, and looks at the next change:', () => {
    const revoked = 'revoked = 2026-11-01T00:00:00Z'
    const first = key('old', revoked, SECRETS.old) + key('now')
    it.each([
      [
        'a text that was changed',
        { ...seal(2, key('x')), text: seal(2, key('x')).text.replace('"x"', '"y"') },
      ],
      ['what is not sealed', { text: key('x'), revision: 2 }],
      ['what is no TOML', { text: '[', revision: 2 }],
      ['another KEK', seal(2, key('x'), OTHER_KEK)],
      ['another revision than the store says', { ...seal(3, first), revision: 2 }],
      ['another text of the same revision', seal(1, key('x'))],
      ['another name', { text: sealKeyring(first, { kek: KEK, keyring: 'two', revision: 2 }), revision: 2 }],
      ['a revoked key that is gone', seal(2, key('now'))],
      ['a revoked key that is not any more', seal(2, key('old', '', SECRETS.old) + key('now'))],
      ['a revoked key that is yet to end', seal(2, first.replace('2026-11-01', '2026-11-22'))],
      ['the secret of a revoked key under another name', seal(2, first + key('new', '', SECRETS.old))],
      ['what the check speaks against', seal(2, first + key('bad'))],
    ])('%s', async (_, refused) => {
      const there = fickle(seal(1, first))
      const node = await open(there.store, {
        check: (ring) => (namesOf(ring).includes('bad') ? [{ path: 'groups.g', message: 'bad' }] : []),
      })
      there.says = refused
      await looked(there)
      await looked(there)
      await looked(there)
      expect(node.names()).toBe('old,now')
      expect(node.failures).toHaveLength(1)
      for (const secret of Object.values(SECRETS)) expect(node.failures[0]?.message).not.toContain(secret)
      expect(node.live.status()).toMatchObject({ failing: true, reloads: { ok: 0, failed: 1 } })
      there.says = seal(9, `${first}${key('good', '', SECRETS.other)}`)
      await looked(there)
      expect(node.names()).toBe('old,now,good')
      expect(node.live.status()).toMatchObject({ failing: false, reloads: { ok: 1, failed: 1 } })
    })
  })

  it('takes back that a text is refused when the store has again what is in force', async () => {
    const one = seal(1, key('first'))
    const there = fickle(one)
    const node = await open(there.store)
    there.says = { text: '[', revision: 2 }
    await looked(there)
    expect(node.live.status().failing).toBe(true)
    there.says = one
    await looked(there)
    expect(node.live.status().failing).toBe(false)
  })

  it('a revocation may still come earlier, and a planned one be taken back', async () => {
    const there = fickle(
      seal(1, key('a', 'revoked = 2026-11-01T00:00:00Z') + key('b', 'revoked = 2027-01-01T00:00:00Z')),
    )
    const node = await open(there.store)
    there.says = seal(2, key('a', 'revoked = true') + key('b'))
    await looked(there)
    expect([node.failures, node.live.status().revision]).toEqual([[], 2])
  })

  it('is read anew where it is asked for, and tells what hinders', async () => {
    const there = fickle(seal(1, key('first')))
    const node = await open(there.store)
    node.live.reload()
    await until(() => expect(node.loads).toEqual(['same']))
    there.says = new Error('gone')
    node.live.reload()
    await until(() => expect(node.failures).toHaveLength(1))
    expect(node.failures[0]?.issues).toEqual([{ path: 'main in memory', message: 'gone' }])
    node.live.reload()
    await until(() => expect(node.failures).toHaveLength(2))
    expect(node.events).toEqual(['away'])
  })

  it('is opened with a KEK that comes after the text', async () => {
    const there = fickle(seal(1, key('first')))
    const keks = [KEK]
    const refetch = async (): Promise<boolean> => {
      if (keks.length > 1) return false
      keks.push(OTHER_KEK)
      return true
    }
    const find = (id: string) => keks.find((kek) => kek.id === id)
    const node = await open(there.store, { kek: { find, refetch } })
    there.says = seal(2, key('second'), OTHER_KEK)
    await looked(there)
    await until(() => expect(node.names()).toBe('second'))
    expect(node.failures).toHaveLength(1)
    expect(node.live.status().failing).toBe(false)
  })

  it('ends: nothing is told any more, nothing read', async () => {
    const there = fickle(seal(1, key('first')))
    const node = await open(there.store)
    there.says = seal(2, key('second'))
    there.tell()
    node.live.close()
    await new Promise((next) => setTimeout(next, 50))
    expect([node.names(), node.loads]).toEqual(['first', []])
  })
})

describe('the local copy of a shared keyring', () => {
  it('is the text as it was sealed, for its owner alone, and follows', async () => {
    const localCopy = place()
    const [one, two] = [seal(1, key('first')), seal(2, key('second'))]
    const there = fickle(one)
    const node = await open(there.store, { localCopy })
    expect(readFileSync(localCopy, 'utf8')).toBe(one.text)
    expect(statSync(localCopy).mode & 0o777).toBe(0o600)
    there.says = two
    await looked(there)
    expect(readFileSync(localCopy, 'utf8')).toBe(two.text)
    there.says = { text: '[', revision: 3 }
    await looked(there)
    expect(readFileSync(localCopy, 'utf8')).toBe(two.text)
    expect(existsSync(`${localCopy}.next`)).toBe(false)
    expect(node.events).toEqual([])
  })

  it.each([
    ['away', new Error('gone')],
    ['empty', 'empty'],
    ['older', seal(1, key('old'))],
  ] as const)('is what a node begins with where the store is %s', async (event, says) => {
    const localCopy = place()
    const there = fickle(seal(2, key('first')))
    ;(await open(there.store, { localCopy })).live.close()
    there.says = says
    const node = await open(there.store, { localCopy })
    expect([node.names(), node.events, node.failures]).toEqual(['first', [event], []])
    there.says = seal(3, key('second'))
    await looked(there)
    expect([node.names(), node.events]).toEqual(['second', [event, 'back']])
  })

  it('is begun with where the store’s text cannot be used, which is told', async () => {
    const localCopy = place()
    const there = fickle(seal(2, key('old', 'revoked = true') + key('first')))
    ;(await open(there.store, { localCopy })).live.close()
    there.says = seal(3, key('old') + key('first'))
    const node = await open(there.store, { localCopy })
    expect(node.names()).toBe('old,first')
    expect(node.failures.map(({ issues }) => issues[0]?.path)).toEqual(['groups.g.keys.old'])
    expect(node.live.status()).toMatchObject({ failing: true, store: 'here', revision: 2 })
  })

  it('keeps what was revoked in mind where its KEK is gone', async () => {
    const localCopy = place()
    writeFileSync(localCopy, seal(2, key('old', 'revoked = true'), OTHER_KEK).text)
    const there = fickle(seal(3, key('old')))
    const error = await errorFrom(open(there.store, { localCopy }))
    expect(error.issues.map(({ path }) => path)).toContain('groups.g.keys.old')
  })

  it('of a keyring of another name hinders nothing: it is replaced', async () => {
    const localCopy = place()
    const other = sealKeyring(key('lost', 'revoked = true'), { kek: OTHER_KEK, keyring: 'old', revision: 7 })
    writeFileSync(localCopy, other)
    const one = seal(1, key('first'))
    const node = await open(fickle(one).store, { localCopy, kek: { ...SOURCE, keyring: 'main' } })
    expect([node.names(), node.events, node.failures]).toEqual(['first', [], []])
    expect(readFileSync(localCopy, 'utf8')).toBe(one.text)
  })

  it('damaged, is replaced by what the store has', async () => {
    const localCopy = place()
    const two = seal(2, key('old', 'revoked = true') + key('first'))
    writeFileSync(localCopy, two.text.replace('v1.', 'v1.A'))
    expect(readFileSync(localCopy, 'utf8')).not.toBe(two.text)
    const node = await open(fickle(two).store, { localCopy })
    expect([node.names(), node.failures]).toEqual(['old,first', []])
    expect(readFileSync(localCopy, 'utf8')).toBe(two.text)
  })

  it('survives a crash between remembering a revision and keeping its text', async () => {
    const state = folderWith({})
    const localCopy = join(state, 'edge-1.keyring')
    const check: SharedKeyringOptions['check'] = ({ name, revision }) =>
      acceptRevision(state, name!, revision!, 'edge-1') === 'ok'
        ? []
        : [{ path: 'seal.revision', message: 'older' }]
    const two = seal(2, key('second'))
    const there = fickle(seal(1, key('first')))
    ;(await open(there.store, { localCopy, check })).live.close()
    // As it is left when the process ends right there.
    writeFileSync(`${localCopy}.next`, two.text)
    acceptRevision(state, 'main', 2, 'edge-1')
    there.says = new Error('gone')
    const node = await open(there.store, { localCopy, check })
    expect(node.names()).toBe('second')
  })

  it('that cannot be written is told once, and hinders no revocation', async () => {
    const folder = folderWith({})
    const localCopy = join(folder, 'missing', 'edge-1.keyring')
    const there = fickle(seal(1, key('first')))
    const node = await open(there.store, { localCopy })
    there.says = seal(2, key('first', 'revoked = true'))
    await looked(there)
    expect(node.live.status().revision).toBe(2)
    expect(node.events).toEqual(['copy-failed'])
    mkdirSync(join(folder, 'missing'))
    const three = seal(3, key('first', 'revoked = true') + key('third', '', SECRETS.other))
    there.says = three
    await looked(there)
    expect(node.events).toEqual(['copy-failed', 'copy-written'])
    expect(readFileSync(localCopy, 'utf8')).toBe(three.text)
  })

  it('damaged, or absent, and the store no help either: the start fails and says why', async () => {
    const localCopy = place()
    for (const says of [new Error('gone'), 'empty'] as const)
      expect((await errorFrom(open(fickle(says).store, { localCopy }))).issues).toHaveLength(1)
    writeFileSync(localCopy, key('plain'))
    const { issues } = await errorFrom(open(fickle(new Error('gone')).store, { localCopy }))
    expect(issues).toEqual([
      { path: 'main in memory', message: 'gone' },
      expect.objectContaining({ file: localCopy, path: 'seal' }),
    ])
    const good = await open(fickle(seal(1, key('first'))).store, { localCopy })
    expect(good.names()).toBe('first')
  })
})

describePeers('a shared keyring in Redis', ['redis-server'], () => {
  it('is taken up by all nodes, and again after the server was gone', { timeout: 60_000 }, async () => {
    const redis = await startRedis()
    const connect = async (url = redis.url): Promise<KeyringStore> => {
      const store = await openRedisKeyringStore({ url, name: 'main' })
      onTestFinished(() => store.close())
      return store
    }
    const operator = await connect()
    await put(operator, seal(1, key('first')))
    const folder = folderWith({})
    const proxy = await openProxy(redis.port)
    const nodes = await Promise.all(
      [redis.url, redis.url, `redis://127.0.0.1:${proxy.port}`].map(async (url, i) =>
        open(await connect(url), { localCopy: join(folder, `n${i}.keyring`) }),
      ),
    )
    await put(operator, seal(2, key('first') + key('second')))
    for (const node of nodes) await until(() => expect(node.names()).toBe('first,second'))
    proxy.stall()
    await until(() => expect(nodes[2]!.events).toEqual(['away']))
    await put(operator, seal(3, key('third')))
    await until(() => expect(nodes[0]!.names()).toBe('third'))
    expect(nodes[2]!.names()).toBe('first,second')
    proxy.resume()
    await until(() => expect(nodes[2]!.names()).toBe('third'))
    expect(nodes[2]!.events).toEqual(['away', 'back'])

    await redis.stop()
    for (const node of nodes) await until(() => expect(node.events.at(-1)).toBe('away'))
    const late = await open(await connect(), { localCopy: join(folder, 'n0.keyring') })
    expect([late.names(), late.events]).toEqual(['third', ['away']])
    await redis.restart()
    for (const node of nodes) await until(() => expect(node.events.at(-1)).toBe('empty'))
    expect(nodes.map((node) => node.names())).toEqual(['third', 'third', 'third'])
    await until(() => put(operator, seal(4, key('fourth'))))
    for (const node of [...nodes, late]) {
      await until(() => expect(node.names()).toBe('fourth'))
      expect(node.events.at(-1)).toBe('back')
      expect(node.failures).toEqual([])
    }
  })
})
