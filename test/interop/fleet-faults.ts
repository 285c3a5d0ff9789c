/**
 * What happens to a fleet in a soak: each fault begins, lasts, and is mended.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readSealedText } from '../../src/keyring/sealed-text.ts'
import type { FleetLoad } from './fleet-load.ts'
import type { NodeProcess } from './fleet-node.ts'
import type { Netns } from './fleet-netns.ts'
import { addAndRevoke } from './fleet-revoke.ts'
import type { Fleet } from './fleet-rig.ts'
import { pick, until, type Random } from './fleet-steps.ts'

/** What faults work on. */
export interface Suffering {
  readonly fleet: Fleet
  readonly load: FleetLoad
  readonly random: Random
  readonly netns: Netns | undefined
}

/** A fault, from its beginning until it is mended. @returns what is to be noted of it */
export type Fault = (suffering: Suffering) => Promise<Readonly<Record<string, unknown>>>

let count = 0

/** Every kind of fault, by name. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  async 'redis empty'(suffering) {
    return emptied(suffering, async () => {})
  },
  async 'redis empty, node killed'(suffering) {
    return emptied(suffering, async (mortal) => killed(suffering, mortal))
  },
  async 'redis stalled'({ fleet, random }) {
    const client = fleet.redis.client()
    const pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))![1])
    client.disconnect()
    process.kill(pid, 'SIGSTOP')
    const seconds = await last(random, 1, 12).finally(() => process.kill(pid, 'SIGCONT'))
    return { seconds }
  },
  async 'node killed'(suffering) {
    const mortal = mortalOf(suffering)
    await killed(suffering, mortal)
    return { node: mortal.name }
  },
  async 'node cut off'({ fleet, random, netns }) {
    const third = fleet.nodes[2]!
    if (netns === undefined) third.relay.stall()
    else netns.partition()
    // An operator changes something meanwhile, and is told.
    await sleep(2000)
    const key = `cut-${++count}`
    const { exit } = await fleet.operator.cli('key', 'add', '--group', 'all', '--name', key, '--wait', '1')
    const revoked = await fleet.operator.cli('key', 'revoke', key, '--group', 'all', '--wait', '1')
    const seconds = await last(random, 1, 12)
    if (netns === undefined) third.relay.resume()
    else netns.mend()
    if (exit !== 1 || revoked.exit !== 1)
      throw new Error(`nobody was told that n3 was cut off: ${revoked.stdout}`)
    return { seconds, by: netns === undefined ? 'relay' : 'network namespace' }
  },
  async 'node delayed'({ fleet, random }) {
    const node = pick(fleet.nodes, random)
    node.relay.stall()
    const seconds = await last(random, 0.1, 8)
    node.relay.resume()
    return { node: node.name, seconds }
  },
  async 'clock stepped'({ fleet, random }) {
    const node = pick(fleet.nodes, random)
    // Any two clocks differ by less than 5 s, as those of a fleet must.
    const to = Math.round((random() - 0.5) * 4800)
    node.clock.shift(to)
    // What is known of it is sure again by then.
    await sleep(4000)
    return { node: node.name, to }
  },
  async 'key revoked'({ fleet }) {
    const { said: _, ...figures } = await addAndRevoke(fleet, `revoked-${++count}`)
    return figures
  },
}

/** So many seconds. */
async function last(random: Random, least: number, most: number): Promise<number> {
  const seconds = Math.round((least + random() * (most - least)) * 10) / 10
  await sleep(seconds * 1000)
  return seconds
}

/** The first node lives through it all, so that its memory can be watched. */
function mortalOf({ fleet, random }: Suffering): NodeProcess {
  return pick(fleet.nodes.slice(1), random)
}

async function killed({ fleet, load, random }: Suffering, mortal: NodeProcess): Promise<void> {
  const excusers = [load, fleet.prober]
  for (const one of excusers) one.excuse(mortal.name)
  await mortal.kill()
  await last(random, 0, 2)
  await mortal.start()
  for (const one of excusers) one.expect(mortal.name)
}

async function emptied(
  suffering: Suffering,
  meanwhile: (mortal: NodeProcess) => Promise<void>,
): Promise<Readonly<Record<string, unknown>>> {
  const { fleet, random } = suffering
  const mortal = mortalOf(suffering)
  await fleet.redis.stop()
  await meanwhile(mortal)
  const seconds = await last(random, 1, 30)
  await fleet.redis.restart()
  // An operator takes the newest copy that a node has.
  const copies = fleet.nodes.flatMap(copiesOf)
  const newest = copies.toSorted((a, b) => b.revision - a.revision)[0]!
  const file = join(fleet.operator.folder, 'copy.toml')
  writeFileSync(file, newest.text)
  await until(
    'the seed is taken',
    async () => (await fleet.operator.cli('fleet', 'seed', 'copy.toml')).exit === 0,
  )
  return { seconds, killed: meanwhile.length > 0 ? mortal.name : undefined, revision: newest.revision }
}

/** Sealed keyrings in the state directory of a node. */
function copiesOf({ folder }: NodeProcess): readonly { readonly text: string; readonly revision: number }[] {
  const state = join(folder, 'state')
  return readdirSync(state).flatMap((name) => {
    const text = readFileSync(join(state, name), 'utf8')
    return text.includes('[seal]') ? [{ text, revision: readSealedText(text).revision }] : []
  })
}
