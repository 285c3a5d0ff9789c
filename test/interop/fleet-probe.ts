/**
 * Requests signed with one key or another, to one node or another, all the time: each answer is held against what is
 * true of that key by that node's clock.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { editHeaders } from '../../src/message/edit.ts'
import type { Endpoint } from '../../src/message/types.ts'
import type { Agreement } from '../../src/xkeys/agreement.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { contextOf } from '../support/messages.ts'
import type { NodeProcess } from './fleet-node.ts'
import type { Truth } from './fleet-truth.ts'
import { openParty, requestOf } from './rotation-load.ts'

/** How a probe was answered. */
export interface Answered {
  readonly status: string
  /** When it was sent and when the answer came, epoch milliseconds. */
  readonly sent: number
  readonly came: number
}

/** A peer with a trunk on each node that uses a group. */
export interface ProbePlace {
  readonly group: string
  readonly agreement: Agreement
  readonly local: Endpoint
  readonly nodes: readonly NodeProcess[]
}

/** How the probes went. */
export interface ProbeAccount {
  readonly accepted: number
  readonly refused: number
  /** Answers that were not what they had to be, told. */
  readonly wrong: readonly string[]
}

/** Probes that are sent on and on. */
export interface Prober {
  /** From now on the group is probed with these keys. */
  use(group: string, keys: readonly string[]): void
  /** What becomes of a key is open from now on, or the truth again: it is being revoked. */
  leaveOpen(group: string, key: string): void
  judgeAgain(group: string, key: string): void
  /** The node goes down: no answer is expected. */
  excuse(node: string): void
  expect(node: string): void
  /** Sends one, and waits for the answer. */
  send(group: string, node: NodeProcess, key: string): Promise<Answered | 'lost'>
  account(): ProbeAccount
  /** Stops, and waits for the last answers. */
  stop(): Promise<ProbeAccount>
}

/** Between two probes, milliseconds. */
const EVERY = 15
/** What has no answer by then is lost, milliseconds. */
const LOST_MS = 15_000
/** At most so many under way. */
const WINDOW = 100

let probers = 0

/** Begins to probe. */
export async function startProber(places: readonly ProbePlace[], truth: Truth): Promise<Prober> {
  const self = ++probers
  const parties = new Map(
    await Promise.all(places.map(async ({ group, local }) => [group, await openParty(local)] as const)),
  )
  const used = new Map<string, readonly string[]>()
  const open = new Set<string>()
  const down = new Set<string>()
  /** How often a node went down: what was under way then has no answer. */
  const lives = new Map<string, number>()
  const wrong: string[] = []
  let accepted = 0
  let refused = 0
  const under = new Set<object>()
  let count = 0

  async function send(group: string, node: NodeProcess, key: string): Promise<Answered | 'lost'> {
    const { agreement, local } = places.find((place) => place.group === group)!
    const party = parties.get(group)!
    const id = `probe-${process.pid}-${self}-${count++}`
    const uri = `sip:bob@${node.trunk.address}:${node.trunk.port}`
    const keyring = createKeyring([[group, [truth.key(group, key)!.bare]]])
    const bytes = requestOf({ from: party, to: node.trunk, uri }, id)
    const token = createSigner({ agreement, keyring }).sign(contextOf(bytes, { local, source: node.trunk }))
    if (!token.ok) throw new Error(token.reason)
    const signed = editHeaders(bytes, { add: [[token.header, token.token]] })
    const sent = Date.now()
    const answer = new Promise<Answered>((resolve) => {
      party.call(signed, id, node.trunk, (status) => resolve({ status, sent, came: Date.now() }))
    })
    return Promise.race([answer, sleep(LOST_MS, 'lost' as const, { ref: false })])
  }

  /** What is wrong with an answer; `undefined`: nothing, or nobody can say. */
  function judge(
    group: string,
    node: NodeProcess,
    key: string,
    held: number,
    answer: Answered,
  ): string | undefined {
    const { status, sent, came } = answer
    const { since, end } = truth.key(group, key)!
    const ended = end?.at ?? Infinity
    if (status === '200') {
      const tooLate = end !== undefined && end.since <= held && ended <= node.clock.around(sent).earliest
      return tooLate ? `accepted ${node.clock.around(sent).earliest - ended} ms after its end` : undefined
    }
    if (status !== '403') return `answered ${status}`
    const inTime = since <= held && node.clock.around(came).latest < ended
    return inTime ? `refused with ${ended - node.clock.around(came).latest} ms to go` : undefined
  }

  async function probe({ group, nodes }: ProbePlace): Promise<void> {
    const keys = used.get(group) ?? []
    const key = keys[Math.floor(Math.random() * keys.length)]
    const node = nodes[Math.floor(Math.random() * nodes.length)]!
    if (key === undefined || down.has(node.name) || open.has(`${group} ${key}`)) return
    const asked = {}
    under.add(asked)
    const life = lives.get(node.name)
    const held = truth.inForce(node.name)
    const answer = await send(group, node, key)
    under.delete(asked)
    if (lives.get(node.name) !== life || open.has(`${group} ${key}`)) return
    if (answer !== 'lost' && answer.status === '200') accepted++
    if (answer !== 'lost' && answer.status === '403') refused++
    const look = (): string | undefined =>
      answer === 'lost' ? 'not answered' : judge(group, node, key, held, answer)
    let fault = look()
    if (fault !== undefined) {
      // The node may have heard of a change before we did.
      await truth.refresh().catch(() => {})
      fault = look()
    }
    if (fault !== undefined && wrong.length < 100)
      wrong.push(`${new Date().toISOString()} ${group} ${key} at ${node.name}: ${fault}`)
  }
  const timer = setInterval(() => {
    if (under.size < WINDOW) void probe(places[Math.floor(Math.random() * places.length)]!)
  }, EVERY)

  const account = (): ProbeAccount => ({ accepted, refused, wrong: [...wrong] })
  let stopped: Promise<ProbeAccount> | undefined
  async function stop(): Promise<ProbeAccount> {
    clearInterval(timer)
    for (let i = 0; i < LOST_MS / 50 && under.size > 0; i++) await sleep(50)
    for (const party of parties.values()) party.close()
    return account()
  }
  return {
    use: (group, keys) => void used.set(group, [...keys]),
    leaveOpen: (group, key) => void open.add(`${group} ${key}`),
    judgeAgain: (group, key) => void open.delete(`${group} ${key}`),
    excuse(node) {
      down.add(node)
      lives.set(node, (lives.get(node) ?? 0) + 1)
    },
    expect: (node) => void down.delete(node),
    send,
    account,
    stop: () => (stopped ??= stop()),
  }
}
