/**
 * Three nodes that are peers of each other and share a keyring through a real Redis, with clocks that differ, an operator
 * with the command line, traffic between the nodes, and probes.
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { createKek, kekSourceOf } from '../../src/keyring/seal.ts'
import { openRedisKeyringStore } from '../../src/stores/redis-keyring.ts'
import { tempFolder } from '../support/peers.ts'
import { openProxy, startRedis, type RedisServer } from '../support/redis.ts'
import {
  GROUP_NAMES,
  KEYRING,
  nodeConfig,
  operatorConfig,
  planFleet,
  trunkName,
  usersOf,
  type FleetPlan,
} from './fleet-config.ts'
import { startFleetLoad, type FleetLoad } from './fleet-load.ts'
import type { Netns } from './fleet-netns.ts'
import { createNode, type NodeProcess } from './fleet-node.ts'
import { createOperator, type Operator } from './fleet-operator.ts'
import { startProber, type ProbePlace, type Prober } from './fleet-probe.ts'
import { openTruth, type Truth } from './fleet-truth.ts'
import { openParty } from './rotation-load.ts'

/** A fleet that runs. */
export interface Fleet {
  /** Of everything: below it a folder of each node, and the key-encryption key. */
  readonly folder: string
  readonly redis: RedisServer
  readonly nodes: readonly NodeProcess[]
  readonly operator: Operator
  readonly truth: Truth
  readonly prober: Prober
  /** Begins the traffic between nodes. @param perSecond transactions a second from each node to each other */
  load(perSecond: number): FleetLoad
}

/** How far the nodes' clocks are ahead at first, milliseconds. */
const SKEWS = [-2000, 0, 2000]

/**
 * Starts Redis, seeds a sealed keyring with a key in each group, and starts the nodes. All ends with the test.
 * @param netns where the third node is, if not here
 */
export async function startFleet(netns?: Netns): Promise<Fleet> {
  const folder = tempFolder()
  const redis = await startRedis()
  const kek = randomBytes(32)
  writeFileSync(join(folder, 'kek'), kek.toString('hex'), { mode: 0o600 })
  const relays = [
    await openProxy(redis.port),
    await openProxy(redis.port),
    await openProxy(redis.port, netns?.redis.here),
  ]
  const plan = await planFleet({ own: redis.port, relays: relays.map(({ port }) => port) }, netns)
  const operator = await createOperator(join(folder, 'operator'), operatorConfig(plan))
  const nodes = plan.nodes.map((node, i) =>
    createNode(
      {
        ...node,
        folder: join(folder, node.name),
        skew: SKEWS[i]!,
        relay: relays[i]!,
        enter: i === 2 ? (netns?.enter ?? []) : [],
      },
      nodeConfig(plan, node),
    ),
  )
  await Promise.all(nodes.map((node) => node.start()))
  const store = await openRedisKeyringStore({ url: plan.operatorRedis, name: KEYRING })
  const truth = await openTruth(store, kekSourceOf(createKek(kek)))
  const upstreams = await Promise.all(plan.nodes.map(({ target }) => openParty(target)))
  const prober = await startProber(probePlaces(plan, nodes), truth)
  const loads: FleetLoad[] = []
  onTestFinished(async () => {
    await Promise.all([prober.stop(), ...loads.map((load) => load.stop())])
    await truth.close()
    await Promise.all(nodes.map((node) => node.stop()))
    for (const party of upstreams) party.close()
    for (const relay of relays) relay.close()
    await redis.stop()
  })
  return {
    folder,
    redis,
    nodes,
    operator,
    truth,
    prober,
    load(perSecond) {
      const load = startFleetLoad(nodes, upstreams, perSecond)
      loads.push(load)
      return load
    },
  }
}

function probePlaces(plan: FleetPlan, nodes: readonly NodeProcess[]): readonly ProbePlace[] {
  const { trunks } = parseEdgeConfig(operatorConfig(plan))
  return GROUP_NAMES.map((group) => ({
    group,
    agreement: trunks.find(({ name }) => name === trunkName(group, 'probe'))!.agreement,
    local: plan.probes[group],
    nodes: nodes.filter(({ name }) => usersOf(group).includes(name)),
  }))
}
