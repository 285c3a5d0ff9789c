/**
 * A fleet in one process: a real Redis, a sealed keyring, nodes, and the command line as their operator has it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { loadConfig, startService, type Service } from '../../src/edge/service.ts'
import { formatIssue, type Issue } from '../../src/errors.ts'
import type { KeyringStore } from '../../src/keyring/keyring-store.ts'
import { sealKeyring } from '../../src/keyring/seal.ts'
import { openRedisKeyringStore } from '../../src/stores/redis-keyring.ts'
import { parseExposition } from './exposition.ts'
import { folderWith } from './folder.ts'
import { startRedis, type RedisServer } from './redis.ts'
import { KEK, KEK_BYTES } from './sealed.ts'
import { SECRETS } from './signed-messages.ts'
import { xkeys, type Outcome } from './xkeys.ts'

/** The keyring that fleets of tests begin with: one key signs, another has been added. */
export const RING = `[[groups.gw.keys]]
name = "k1"
value = "${SECRETS.old}"
active_from = 2026-01-01T00:00:00Z

[[groups.gw.keys]]
name = "k2"
value = "${SECRETS.new}"
active_from = 9999-12-31T23:59:59Z
`

/** The name that it is stored and sealed under. */
export const NAME = 'trunks'

/** A keyring sealed for a fleet. */
export function sealedRing(toml = RING, revision?: number): string {
  return sealKeyring(toml, { kek: KEK, keyring: NAME, revision })
}

const edgeText = (node: string, url: string, redis: string): string => `node = "${node}"
state = "state-${node}"
[keyring]
source = "${url}"
name = "${NAME}"
${redis}
[kek]
from = "file:kek"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "gw"
algorithm = "hmac-sha256"
request = "$rm:$ru:$ci"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
`

/** A line of a log. */
export interface LogLine {
  readonly event: string
  readonly revision?: number
  readonly issues?: readonly Issue[]
  readonly detail?: string
}

/** A node that runs. */
export interface Node {
  readonly name: string
  readonly service: Service
  /** Everything that it wrote. */
  text(): string
  /** What it told of keyrings and their store: `loaded 2`, `store-away`, or the issues of a keyring. */
  said(): readonly string[]
  /** Its samples of a metric, by the values of their labels. */
  values(metric: string): Promise<Record<string, number>>
  stop(): Promise<void>
}

/** Where a fleet lives. */
export interface FleetPlace {
  readonly folder: string
  readonly redis: RedisServer
  /** As its nodes use it. */
  readonly store: KeyringStore
  /** Stores a keyring in place of what is there. */
  put(text: string): Promise<void>
  /** Starts a node. @param url of Redis as it sees it, where that is another */
  node(name: string, url?: string): Promise<Node>
  /** Runs a command as the operator. `CONFIG` stands for `--config operator.toml`. */
  run(command: string, env?: Record<string, string>): Promise<Outcome>
}

/** What differs from fleet to fleet. */
export interface FleetOptions {
  readonly text?: string
  readonly redis?: RedisServer
  /** The URL as configurations have it. */
  readonly url?: string
  /** Tables below `[keyring]`, as TOML. */
  readonly more?: string
}

/** Makes the place of a fleet, with a keyring in its store. */
export async function fleetPlace(options: FleetOptions = {}): Promise<FleetPlace> {
  const redis = options.redis ?? (await startRedis())
  const url = options.url ?? redis.url
  const folder = folderWith({ kek: KEK_BYTES.one, two: KEK_BYTES.two, 'ring.toml': sealedRing() })
  const config = (node: string, at = url): string => {
    const path = join(folder, `${node}.toml`)
    writeFileSync(path, edgeText(node, at, options.more ?? ''))
    return path
  }
  config('operator')
  const store = await openRedisKeyringStore({ url: redis.url, name: NAME })
  onTestFinished(async () => {
    await store.close()
    await redis.stop()
  })
  const put = async (text: string): Promise<void> => {
    const revision = Number(/^revision = (\d+)$/m.exec(text)?.[1])
    const now = await store.read()
    const before = now === 'empty' ? now : now.revision
    const done = await store.replace({ before, after: { text, revision }, audit: '{"command":"test"}' })
    if (done !== 'done') throw new Error(done)
  }
  if (options.text !== '') await put(options.text ?? sealedRing())
  return {
    folder,
    redis,
    store,
    put,
    node: (name, at) => startNode(name, config(name, at)),
    run(command, env = {}) {
      const words = command.replace('CONFIG', '--config operator.toml').split(' ')
      return xkeys(words, { cwd: folder, env })
    },
  }
}

async function startNode(name: string, path: string): Promise<Node> {
  const lines: string[] = []
  const service = await startService({
    loaded: loadConfig(path, process.env, new Date()),
    version: 'test',
    logTo: { write: (line) => lines.push(line) },
  })
  onTestFinished(() => service.stop())
  return {
    name,
    service,
    text: () => lines.join(''),
    said: () =>
      lines
        .map((line): LogLine => JSON.parse(line) as LogLine)
        .flatMap((line) => {
          const { event, revision, issues = [] } = line
          if (event === 'keyring-loaded') return [`loaded ${revision}`]
          if (event === 'keyring-refused') return [issues.map(formatIssue).join('; ')]
          return event.startsWith('keyring-') ? [event.slice('keyring-'.length)] : []
        }),
    async values(metric) {
      const family = parseExposition(await service.metrics.registry.metrics()).get(metric)
      const samples = family?.samples ?? []
      return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(','), value]))
    },
    stop: () => service.stop(),
  }
}
