/**
 * Configurations of three nodes that are peers of each other, and of their operator.
 */
import type { Endpoint } from '../../src/message/types.ts'
import { freePorts } from '../support/peers.ts'
import type { Netns } from './fleet-netns.ts'

/** Each group, and which nodes use it: two that are peers of each other, or all, for a peer that only probes. */
const GROUPS = {
  east: ['n1', 'n2'],
  west: ['n2', 'n3'],
  north: ['n1', 'n3'],
  all: ['n1', 'n2', 'n3'],
} as const
export type Group = keyof typeof GROUPS
export const GROUP_NAMES = Object.keys(GROUPS) as readonly Group[]
/** Groups of two nodes that are peers of each other. */
export const PAIRS: readonly Group[] = ['east', 'west', 'north']
export const NODE_NAMES = GROUPS.all

/** The name that the keyring is sealed and stored under. */
export const KEYRING = 'fleet'

/** Where everything is. */
export interface FleetPlan {
  readonly nodes: readonly NodePlan[]
  /** Where each group is probed from. */
  readonly probes: Readonly<Record<Group, Endpoint>>
  /** URL of Redis, as the operator reaches it. */
  readonly operatorRedis: string
}

/** One node. */
export interface NodePlan {
  readonly name: string
  readonly trunk: Endpoint
  readonly upstream: Endpoint
  /** What stands behind its upstream socket. */
  readonly target: Endpoint
  /** URL of Redis, as the node reaches it. */
  readonly redis: string
}

/** How Redis is reached: by the operator, and by each node. */
export interface RedisPorts {
  readonly own: number
  readonly relays: readonly number[]
}

/** Addresses and ports for everything, the third node in `netns` where there is one. */
export async function planFleet(redis: RedisPorts, netns: Netns | undefined): Promise<FleetPlan> {
  const loopback = '127.0.0.1'
  // The third node where it is in a network of its own, and ours as it sees us.
  const near = netns?.sip.here ?? loopback
  const far = netns?.sip.inside ?? loopback
  const ports = await freePorts(3 * NODE_NAMES.length + GROUP_NAMES.length)
  const place = (address: string): Endpoint => ({ address, port: ports.shift()! })
  const node = (name: string, i: number): NodePlan => {
    const isThird = i === 2
    return {
      name,
      trunk: place(isThird ? far : near),
      upstream: place(isThird ? far : loopback),
      target: place(isThird ? near : loopback),
      redis: `redis://${isThird ? (netns?.redis.here ?? loopback) : loopback}:${redis.relays[i]}/0`,
    }
  }
  return {
    operatorRedis: `redis://${loopback}:${redis.own}/0`,
    nodes: NODE_NAMES.map(node),
    probes: { east: place(near), west: place(near), north: place(near), all: place(near) },
  }
}

/** `address:port`. */
function at({ address, port }: Endpoint): string {
  return `${address}:${port}`
}

function head(node: string, redis: string): string {
  return `node = "${node}"
state = "state"
[keyring]
source = "${redis}"
name = "${KEYRING}"
[kek]
from = "file:../kek"
[limits]
refusals_per_second = 10000
drain_timeout = 0
`
}

function agreementOf(group: Group): string {
  return `[agreements.${group}]
header = "X-${group}"
group = "${group}"
algorithm = "hmac-sha256"
request = { sender = "$Ri:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)", receiver = "$si:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)" }
response = { sender = "$Ri:$rs:$fu:$tu:$ci:$hdr(CSeq)", receiver = "$si:$rs:$fu:$tu:$ci:$hdr(CSeq)" }
`
}

function trunkOf(name: string, group: Group, source: Endpoint): string {
  return `[trunks.${name}]
sources = ["${at(source)}"]
target = "${at(source)}"
agreement = "${group}"
`
}

/** The nodes that use a group. */
export function usersOf(group: Group): readonly string[] {
  return GROUPS[group]
}

/** The nodes that are peers of each other in a group. */
export function peersIn(group: Group): readonly string[] {
  return PAIRS.includes(group) ? usersOf(group) : []
}

/** Name of the trunk to a peer, a node or `probe`. */
export function trunkName(group: Group, peer: string): string {
  return `${group}-${peer}`
}

/** What a node runs with: its trunks are the other nodes, and a peer for each group that only probes. */
export function nodeConfig(
  { nodes, probes }: FleetPlan,
  { name, trunk, upstream, target, redis }: NodePlan,
): string {
  const own = GROUP_NAMES.filter((group) => usersOf(group).includes(name))
  const trunks = own.map((group) => [
    agreementOf(group),
    ...nodes
      .filter((other) => other.name !== name && peersIn(group).includes(other.name))
      .map((other) => trunkOf(trunkName(group, other.name), group, other.trunk)),
    trunkOf(trunkName(group, 'probe'), group, probes[group]),
  ])
  return `${head(name, redis)}
[listen]
trunk = "${at(trunk)}"
upstream = "${at(upstream)}"
[upstream]
target = "${at(target)}"
[metrics]
listen = "${upstream.address}:0"
${trunks.flat().join('')}`
}

/** What the operator's commands go by: all trunks of all nodes, so that each is asked for its evidence. */
export function operatorConfig({ probes, operatorRedis }: FleetPlan): string {
  // Nothing is ever sent there: an operator's configuration is no node's.
  let port = 1
  const place = (): Endpoint => ({ address: '192.0.2.1', port: port++ })
  const trunks = GROUP_NAMES.flatMap((group) => [
    agreementOf(group),
    ...peersIn(group).map((node) => trunkOf(trunkName(group, node), group, place())),
    trunkOf(trunkName(group, 'probe'), group, probes[group]),
  ])
  return `${head('n1', operatorRedis)}
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
${trunks.join('')}`
}
