/**
 * Steady traffic through an edge while its keys change: transactions of one request and one answer, every one of which
 * is accounted for.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '../../src/message/types.ts'
import { answerTo } from '../support/edge-rig.ts'
import { headerOf } from './endpoint.ts'

/** What a party does with its messages: one that holds keys signs and verifies. */
export interface Hooks {
  readonly sign?: (bytes: Buffer) => Buffer
  /** Why a message is not accepted; `undefined` where it is. */
  readonly refuse?: (bytes: Buffer) => string | undefined
}

/** One end of the traffic: it calls, and it answers. */
export interface Party {
  readonly local: Endpoint
  /** Sends a request, and says how it ended; `undefined` as long as it has not. */
  call(request: Buffer, id: string, to: Endpoint, onEnd: (outcome: string) => void): void
  /** Messages that it did not accept, by reason. */
  readonly refused: Map<string, number>
  close(): void
}

/** Opens a party. It answers every request with 200. */
export async function openParty(local: Endpoint, hooks: Hooks = {}): Promise<Party> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 })
  socket.bind(local.port, local.address)
  await once(socket, 'listening')
  // ICMP errors of a peer that restarts are part of the test.
  socket.on('error', () => {})
  const waiting = new Map<string, (outcome: string) => void>()
  const refused = new Map<string, number>()
  const sign = hooks.sign ?? ((bytes) => bytes)
  socket.on('message', (bytes, { address, port }) => {
    const text = bytes.toString('latin1')
    const reason = hooks.refuse?.(bytes)
    if (reason !== undefined) {
      refused.set(reason, (refused.get(reason) ?? 0) + 1)
      return
    }
    if (!text.startsWith('SIP/2.0 ')) {
      socket.send(sign(answerTo(bytes, '200 OK')), port, address)
      return
    }
    const id = headerOf(text, 'Call-ID') ?? ''
    waiting.get(id)?.(text.slice(8, 11))
    waiting.delete(id)
  })
  return {
    local,
    refused,
    call(request, id, to, onEnd) {
      waiting.set(id, onEnd)
      socket.send(sign(request), to.port, to.address)
    },
    close: () => socket.close(),
  }
}

/** Where transactions go: from whom, to which first hop, for which Request-URI. */
export interface Flow {
  readonly from: Party
  readonly to: Endpoint
  readonly uri: string
}

/** How the traffic went. */
export interface Account {
  readonly sent: number
  /** Answered with 200. */
  readonly answered: number
  /** Final answers but 200, and messages that a party did not accept, by reason. */
  readonly refused: Readonly<Record<string, number>>
  /** Begun while a peer restarted, or under way then, and not answered. */
  readonly excused: number
  readonly seconds: number
}

/** Traffic that runs. */
export interface Load {
  /** What is under way from now on may be lost: a peer restarts. */
  excuse(): void
  /** The peer is back. */
  expect(): void
  /** Stops, and waits until all is answered. `lost`: transactions that never were. */
  stop(): Promise<Account & { readonly lost: number }>
}

/** At most so many transactions of a flow at once, so that no socket's buffer can run over. */
const WINDOW = 30

/** Begins `perSecond` transactions a second on each flow. */
export function startLoad(flows: readonly Flow[], perSecond: number): Load {
  const began = performance.now()
  const open = new Map<string, { readonly flow: Flow; excused: boolean }>()
  const answers = new Map<string, number>()
  const sentOn = flows.map(() => 0)
  let excusing = false
  let excused = 0
  let count = 0

  function begin(flow: Flow): void {
    const id = `load-${process.pid}-${count++}`
    open.set(id, { flow, excused: excusing })
    flow.from.call(requestOf(flow, id), id, flow.to, (outcome) => {
      if (open.delete(id)) answers.set(outcome, (answers.get(outcome) ?? 0) + 1)
    })
  }
  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1000) * perSecond
    for (const [index, flow] of flows.entries()) {
      let under = 0
      for (const each of open.values()) if (each.flow === flow && !each.excused) under++
      // What a busy machine did not get to send is not caught up with in a burst.
      let sent = Math.max(sentOn[index]!, Math.floor(due) - 5)
      for (; sent < due && under < WINDOW; under++, sent++) begin(flow)
      sentOn[index] = sent
    }
  }, 4)

  return {
    excuse() {
      excusing = true
      for (const each of open.values()) each.excused = true
    },
    expect() {
      excusing = false
      for (const [id, each] of open) {
        if (!each.excused) continue
        open.delete(id)
        excused++
      }
    },
    async stop() {
      clearInterval(timer)
      const seconds = (performance.now() - began) / 1000
      for (let i = 0; i < 100 && open.size > 0; i++) await sleep(50)
      const refused: Record<string, number> = {}
      const add = (reason: string, more: number): void => {
        refused[reason] = (refused[reason] ?? 0) + more
      }
      for (const [status, more] of answers) if (status !== '200') add(status, more)
      for (const party of new Set(flows.map(({ from }) => from)))
        for (const [reason, more] of party.refused) add(reason, more)
      return { sent: count, answered: answers.get('200') ?? 0, refused, excused, lost: open.size, seconds }
    },
  }
}

/** The request of a transaction. */
export function requestOf({ from: { local }, uri }: Flow, id: string): Buffer {
  const lines = [
    `OPTIONS ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${local.address}:${local.port};branch=z9hG4bK${id};rport`,
    'Max-Forwards: 70',
    `From: <sip:alice@atlanta.example>;tag=${id}`,
    'To: <sip:bob@biloxi.example>',
    `Call-ID: ${id}`,
    'CSeq: 1 OPTIONS',
    'Content-Length: 0',
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}
