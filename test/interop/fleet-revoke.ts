/**
 * How soon a revoked key is refused, node by node.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { readSealedText } from '../../src/keyring/sealed-text.ts'
import type { NodeProcess } from './fleet-node.ts'
import type { Fleet } from './fleet-rig.ts'
import { until } from './fleet-steps.ts'

/** When each node accepted the key for the last time, milliseconds. */
export interface Revoked {
  /** By node: since the command was given, and since its change was in the store. */
  readonly nodes: Readonly<Record<string, { readonly fromCommand: number; readonly fromWrite: number }>>
  /** From the command to its change, and to its end. */
  readonly written: number
  readonly took: number
  readonly exit: number | null
  readonly said: string
}

/** Between two questions to a node, milliseconds. */
const EVERY = 20

/** Adds a key of that name to the group that all nodes use, waits until they hold it, and revokes it. */
export async function addAndRevoke(fleet: Fleet, key: string): Promise<Revoked> {
  const { nodes, truth } = fleet
  await fleet.operator.step(
    ['key', 'add', '--group', 'all', '--name', key],
    () => truth.key('all', key) !== undefined,
  )
  await until('the key is held', () => nodes.every(({ name }) => truth.inForce(name) >= truth.revision()))
  const asked = nodes.map((node) => askUntilRefused(fleet, node, key))
  let written = Infinity
  const follower = truth.store.follow(() => void look(Date.now()))
  async function look(at: number): Promise<void> {
    const stored = await truth.store.read().catch(() => 'empty' as const)
    // Others change the keyring, too.
    if (stored !== 'empty' && isRevoked(stored.text, key)) written = Math.min(written, at)
  }
  const begun = Date.now()
  const { exit, stdout, stderr } = await fleet.operator.cli('key', 'revoke', key, '--group', 'all')
  const took = Date.now() - begun
  const last = await Promise.all(asked)
  follower.close()
  return {
    nodes: Object.fromEntries(
      nodes.map(({ name }, i) => [name, { fromCommand: last[i]! - begun, fromWrite: last[i]! - written }]),
    ),
    written: written - begun,
    took,
    exit,
    said: stdout + stderr,
  }
}

function isRevoked(text: string, key: string): boolean {
  return readSealedText(text)
    .keys('all')
    .some(({ name, revoked }) => name === key && revoked !== undefined)
}

/** Asks a node again and again with one key until it refuses, and a while longer. @returns when the last accepted one was sent */
async function askUntilRefused({ prober }: Fleet, node: NodeProcess, key: string): Promise<number> {
  let last = 0
  let refusedAt = Infinity
  const under: Promise<void>[] = []
  async function ask(): Promise<void> {
    const answer = await prober.send('all', node, key)
    if (answer === 'lost') throw new Error(`${node.name} does not answer`)
    if (answer.status === '200') last = Math.max(last, answer.sent)
    else refusedAt = Math.min(refusedAt, performance.now())
  }
  while (performance.now() < refusedAt + 500) {
    if (under.length > 30_000 / EVERY) throw new Error(`${node.name} does not refuse ${key}`)
    under.push(ask())
    await sleep(EVERY)
  }
  await Promise.all(under)
  return last
}
