/**
 * A stand-in for the drachtio server, which no package archive has: it speaks the documented wire protocol to drachtio-srf
 * over TCP, and real SIP over UDP. It keeps what the real one does to messages where an application can tell: the text of
 * headers that came in, `received` and `rport` in the top Via; To tag, Contact, Via, Call-ID and CSeq of what goes out,
 * unless the application sets them. UDP on loopback loses nothing, so it retransmits nothing; it absorbs retransmissions.
 */
import { randomUUID } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Endpoint } from '../../src/message/types.ts'
import {
  clientDialog,
  meta,
  newTransaction,
  plain,
  shown,
  TIME,
  type ClientTransaction,
  type Fields,
  type ServerTransaction,
  companion,
  dialogRequest,
  newRequest,
  newVia,
  proxiedRequest,
  responseTo,
  serverDialog,
  type Dialog,
} from './fake-drachtio-messages.ts'
import {
  branchOf,
  bytesOf,
  endpointIn,
  parseText,
  stampedVia,
  statusOf,
  tagOf,
  type Text,
} from './fake-drachtio-text.ts'

/** A running stand-in. */
export interface FakeDrachtio {
  /** Where `srf.connect` goes. */
  readonly host: string
  readonly port: number
  readonly secret: string
  /** Where SIP goes. */
  readonly sip: Endpoint
  /** Methods that the application has asked for. */
  readonly routed: ReadonlySet<string>
  /** Sends a frame of its own to the application: `sip|network|…`. */
  inject(meta: readonly (string | number)[], text: string): void
  close(): Promise<void>
}

/** Starts one on a free TCP port; SIP on `address`, at `port` where given. */
export async function startFakeDrachtio(address = '127.0.0.1', port = 0): Promise<FakeDrachtio> {
  const secret = 'cymru'
  const socket = createSocket('udp4')
  socket.on('error', () => {})
  socket.bind(port, address)
  await once(socket, 'listening')
  const sip: Endpoint = { address, port: socket.address().port }
  const at = `${sip.address}:${sip.port}`
  const routed = new Set<string>()
  /** By the branch of their top Via. */
  const servers = new Map<string, ServerTransaction>()
  const clients = new Map<string, ClientTransaction>()
  const dialogs = new Map<string, Dialog>()
  let app: Socket | undefined

  const send = (bytes: Buffer, to: Endpoint): void => socket.send(bytes, to.port, to.address)

  // ── to the application ──

  function frame(fields: Fields, text?: string): void {
    const body = `${[randomUUID(), ...fields].join('|')}${text === undefined ? '' : `\r\n${text}`}`
    app?.write(`${Buffer.byteLength(body)}#${body}`)
  }
  const reply = (rid: string, ...fields: Fields): void => frame(['response', rid, ...fields])
  function deliver(message: Text, source: Endpoint, id: string, dialogId: string): void {
    const text = shown(message)
    // Inside a dialog the real one leaves out where the message arrived.
    const local = dialogId === '' ? [sip.address, sip.port, 'session'] : ['']
    frame(['sip', ...meta('network', text, source, id, dialogId), ...local], text)
  }
  /** Tells the application what was sent for it. */
  function sent(rid: string, message: Text, id: string, dialogId: string): void {
    const text = shown(message)
    frame(['response', rid, 'OK', ...meta('application', text, sip, id, dialogId), 'Msg sent:'], text)
  }
  function cdr(event: 'attempt' | 'start' | 'stop', source: string, message: Text, ...more: Fields): void {
    if (routed.has(`cdr:${event}`)) frame([`cdr:${event}`, source, TIME, ...more], shown(message))
  }

  // ── from the network ──

  socket.on('message', (bytes, { address, port }) => {
    const message = parseText(bytes)
    if (message === undefined) return
    if (message.start.startsWith('SIP/2.0')) takeResponse(message, { address, port })
    else takeRequest(stampedVia(message, { address, port }), { address, port })
  })

  function takeRequest(message: Text, source: Endpoint): void {
    const { method } = message
    const branch = branchOf(message)
    const known = servers.get(branch)
    if (method === 'ACK' && known !== undefined) return
    if (method === 'CANCEL') return takeCancel(message, source, known)
    if (known !== undefined) {
      if (known.last !== undefined) send(known.last, known.source)
      return
    }
    const callId = message.get('call-id')
    const toTag = tagOf(message.get('to') ?? '')
    const dialog = [...dialogs.values()].find(
      (other) => other.callId === callId && tagOf(other.local) === toTag,
    )
    const transaction = newTransaction(message, source)
    if (method !== 'ACK') servers.set(branch, transaction)
    if (!routed.has(method) && !routed.has('*') && dialog === undefined) {
      if (method !== 'ACK') respond(transaction, plain('503 Service Unavailable'))
      return
    }
    if (method === 'INVITE' && dialog === undefined) cdr('attempt', 'network', message)
    deliver(message, source, transaction.id, dialog?.id ?? '')
    if (method === 'BYE' && dialog !== undefined) cdr('stop', 'network', message, 'normal-release')
  }

  /** The server answers it, ends the INVITE, and tells the application of it. */
  function takeCancel(message: Text, source: Endpoint, invite: ServerTransaction | undefined): void {
    const cancel = newTransaction(message, source, invite?.toTag)
    if (invite === undefined) return void respond(cancel, plain('481 Call/Transaction Does Not Exist'))
    respond(cancel, plain('200 OK'))
    if (invite.final) return
    deliver(message, source, invite.id, '')
    respond(invite, plain('487 Request Terminated'))
  }

  function takeResponse(message: Text, source: Endpoint): void {
    const client = clients.get(branchOf(message))
    if (client === undefined) return
    const { request, dialogId } = client
    const status = statusOf(message)
    if (request.method === 'INVITE' && status >= 300) {
      send(bytesOf(companion('ACK', request, message.get('to') ?? '')), client.target)
    }
    if (client.proxied !== undefined) {
      const { server, rid } = client.proxied
      server.last = bytesOf(message.withoutFirst('via'))
      send(server.last, server.source)
      const text = shown(message)
      if (status > 100)
        reply(rid, 'OK', ...meta('network', text, source, client.id, 'none'), `continue\r\n${text}`)
      if (status >= 200) reply(rid, 'OK', 'done')
      return
    }
    if (message.method === 'CANCEL') return
    if (request.method === 'INVITE' && status >= 200 && status < 300) {
      dialogs.set(dialogId, clientDialog(dialogId, request, message))
      cdr('start', 'network', message, 'uac')
    }
    deliver(message, source, client.id, dialogId)
  }

  // ── from the application ──

  function respond(transaction: ServerTransaction, given: Text): Text {
    const response = responseTo(transaction.request, given, transaction.toTag, at)
    transaction.last = bytesOf(response)
    transaction.final = statusOf(response) >= 200
    send(transaction.last, transaction.source)
    return response
  }

  function answer(rid: string, id: string, given: Text): void {
    const transaction = [...servers.values()].find((known) => known.id === id)
    if (transaction === undefined || transaction.final) {
      return reply(rid, 'NOK', 'Response not sent due to unknown transaction')
    }
    const response = respond(transaction, given)
    let dialogId = ''
    if (transaction.request.method === 'INVITE' && statusOf(response) === 200) {
      dialogId = randomUUID()
      dialogs.set(dialogId, serverDialog(dialogId, transaction.request, response))
      cdr('start', 'application', response, 'uas')
    }
    sent(rid, response, id, dialogId)
  }

  function place(rid: string, given: Text, proxy: string | undefined): void {
    const target = endpointIn(proxy ?? given.uri)
    if (target === undefined) return reply(rid, 'NOK', `invalid request-uri: ${given.start}`)
    const [branch, via] = newVia(at)
    const request = newRequest(given, via, at)
    const [id, dialogId] = [randomUUID(), given.method === 'INVITE' ? randomUUID() : '']
    clients.set(branch, { id, request, target, dialogId })
    send(bytesOf(request), target)
    sent(rid, request, id, dialogId)
  }

  function placeInside(rid: string, dialog: Dialog, given: Text): void {
    const target = endpointIn(dialog.routes[0] ?? dialog.target)
    if (target === undefined) return reply(rid, 'NOK', 'no route')
    if (given.method !== 'ACK') dialog.cseq++
    const [branch, via] = newVia(at)
    const request = dialogRequest(given, dialog, via, at)
    const id = randomUUID()
    if (given.method !== 'ACK') clients.set(branch, { id, request, target, dialogId: dialog.id })
    send(bytesOf(request), target)
    if (given.method === 'BYE') cdr('stop', 'application', request, 'normal-release')
    sent(rid, request, id, dialog.id)
  }

  function cancel(rid: string, id: string, given: Text): void {
    const client = [...clients.values()].find((known) => known.id === id)
    if (client === undefined) return reply(rid, 'NOK', `unable to cancel unknown transaction id: ${id}`)
    const request = companion('CANCEL', client.request, client.request.get('to') ?? '', given)
    send(bytesOf(request), client.target)
    sent(rid, request, randomUUID(), '')
  }

  function passOn(rid: string, id: string, destination: string, given: Text): void {
    const server = [...servers.values()].find((known) => known.id === id)
    const target = endpointIn(destination)
    if (server === undefined || target === undefined) return reply(rid, 'NOK', 'transaction not found')
    const [branch, via] = newVia(at)
    const request = proxiedRequest(server.request, given, destination, via, sip)
    clients.set(branch, { id: randomUUID(), request, target, proxied: { server, rid }, dialogId: '' })
    send(bytesOf(request), target)
  }

  function take(body: string): void {
    const split = body.indexOf('\r\n')
    const [rid = '', verb = '', first = '', second = '', ...rest] = (
      split < 0 ? body : body.slice(0, split)
    ).split('|')
    const message = split < 0 ? undefined : parseText(Buffer.from(body.slice(split + 2), 'utf8'))
    const route = first.startsWith('cdr:') ? first : first.toUpperCase()
    if (verb === 'authenticate') {
      return first === secret
        ? reply(rid, 'OK', `udp/${at}`, 'v0.8.26', at)
        : reply(rid, 'NOK', 'incorrect secret')
    }
    if (verb === 'route') routed.add(route)
    if (verb === 'remove_route') routed.delete(route)
    if (message === undefined) return reply(rid, 'OK')
    if (verb === 'proxy') return passOn(rid, first, rest[5]!, message)
    if (message.start.startsWith('SIP/2.0')) return answer(rid, first, message)
    if (message.method === 'CANCEL') return cancel(rid, first, message)
    const dialog = dialogs.get(second)
    if (dialog !== undefined) return placeInside(rid, dialog, message)
    if (second !== '') return reply(rid, 'NOK', 'unable to find dialog for dialog id provided')
    return place(rid, message, rest[0])
  }

  const tcp = createServer((connection) => {
    app = connection
    let pending = Buffer.alloc(0)
    connection.on('error', () => {})
    connection.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      for (let hash = pending.indexOf('#'); hash > 0; hash = pending.indexOf('#')) {
        const end = hash + 1 + Number(pending.toString('latin1', 0, hash))
        if (pending.length < end) return
        const body = pending.toString('utf8', hash + 1, end)
        pending = pending.subarray(end)
        take(body)
      }
    })
  })
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')

  return {
    host: '127.0.0.1',
    port: (tcp.address() as { port: number }).port,
    secret,
    sip,
    routed,
    inject: frame,
    async close() {
      app?.destroy()
      await Promise.all([
        new Promise<void>((resolve) => socket.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ])
    },
  }
}
