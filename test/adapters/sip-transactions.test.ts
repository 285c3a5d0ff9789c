import { describe, expect, it } from 'vitest'
import type {
  PackageConnection,
  PackageTransaction,
  PackageTransactionLayer,
} from '../../src/adapters/sip-package.ts'
import { makeResponse } from '../../src/adapters/sip-package.ts'
import { toSipMessage } from '../../src/adapters/sip-message.ts'
import {
  createTransactions,
  transactionId,
  type ClientConnection,
  type ServerConnection,
} from '../../src/adapters/sip-transactions.ts'
import type { SipRemote, SipRequest, SipResponse } from '../../src/adapters/sip-types.ts'
import type { Identity } from '../../src/pipeline/stage.ts'
import { viewOf } from '../../src/message/view.ts'
import { bytesOf, parsed, responseBytes } from '../support/messages.ts'

/** The package's layer without its timers: what was asked of it, in words. */
function fakeLayer(): { layer: PackageTransactionLayer; log: string[]; respond: (status: number) => void } {
  const log: string[] = []
  const callbacks: ((response: SipResponse) => void)[] = []
  let client: PackageTransaction | undefined
  const transaction = (name: string, connection: PackageConnection) => ({
    message: () => void log.push(`${name} message`),
    send: (response: SipResponse) => void log.push(`${name} send ${response.status}`),
    shutdown() {
      log.push(`${name} shutdown`)
      connection.release()
    },
  })
  const layer: PackageTransactionLayer = {
    createServerTransaction: (key, connection) => transaction(key.method, connection),
    createClientTransaction(connection, request, then) {
      callbacks.push(then)
      return (client = transaction(`client ${request.method}`, connection))
    },
    getClient: () => client,
  }
  return { layer, log, respond: (status) => callbacks[0]!({ status } as SipResponse) }
}

const connection: ServerConnection & ClientConnection = {
  protocol: 'UDP',
  send() {},
  release() {},
  usable: (response) => response,
  isFrom: ({ address }) => address === '192.0.2.1',
}
const source: SipRemote = {
  protocol: 'UDP',
  address: '192.0.2.1',
  port: 5060,
  local: { address: 'a', port: 1 },
}
const from = { source, identity: { kind: 'unsigned', peer: 'p' } } as const

function requestOf(method: string, Via = 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1'): SipRequest {
  const bytes = bytesOf({ start: `${method} sip:a@b SIP/2.0`, with: { Via, CSeq: `1 ${method}` } })
  const made = toSipMessage(viewOf(parsed(bytes)), source, new Set())
  if (!made.ok || made.message.method === undefined) throw new Error('no request')
  return made.message
}

function responseOf(headers: Record<string, string>): SipResponse {
  const Via = 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1'
  const bytes = responseBytes('200 OK', { with: { Via, ...headers } })
  const made = toSipMessage(viewOf(parsed(bytes)), source, new Set())
  if (!made.ok || made.message.method !== undefined) throw new Error('no response')
  return made.message
}

const name = (request: SipRequest): string | undefined => transactionId(request, 'INVITE')

describe('names of transactions', () => {
  it('a CANCEL, the ACK of a failure and a response have that of the INVITE', () => {
    const invite = requestOf('INVITE')
    for (const message of [requestOf('CANCEL'), requestOf('ACK'), makeResponse(invite, 200)]) {
      expect(transactionId(message, 'INVITE')).toBe(name(invite))
    }
  })

  it.each([
    'SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1',
    'SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1',
    'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2',
  ])('another top Via is another transaction: %s', (Via) => {
    expect(name(requestOf('INVITE', Via))).not.toBe(name(requestOf('INVITE')))
  })
})

describe('what the package would keep for ever', () => {
  it.each<[string, number, number]>([
    ['OPTIONS', 0, 32_000],
    ['INVITE', 0, 200_000],
    ['INVITE', 100, 200_000],
    ['INVITE', 180, 7_200_000],
  ])('a server transaction, %s with last response %i, ends after %i ms', (method, status, after) => {
    const { layer, log } = fakeLayer()
    const transactions = createTransactions(layer, 10)
    const request = requestOf(method)
    const opened = transactions.openServer('id', request, connection, from, 1000)!
    if (status > 0) opened.send(makeResponse(request, status))
    const ended: string[] = []
    transactions.sweep(1000 + after - 1, (name) => ended.push(name))
    expect([ended, transactions.size]).toEqual([[], 1])
    transactions.sweep(1000 + after, (name) => ended.push(name))
    expect([ended, transactions.size]).toEqual([[method], 0])
    expect(log.at(-1)).toBe(`${method} shutdown`)
  })

  it.each<[string, number, number]>([
    ['OPTIONS', 100, 32_000],
    ['INVITE', 180, 7_200_000],
  ])('a client transaction, %s with last response %i, ends after %i ms with 408', (method, status, after) => {
    const { layer, respond } = fakeLayer()
    const transactions = createTransactions(layer, 10)
    const got: number[] = []
    transactions.openClient(requestOf(method), connection, (response) => got.push(response.status), 0)
    respond(status)
    transactions.sweep(after - 1, () => {})
    transactions.sweep(after, () => {})
    expect([got, transactions.size]).toEqual([[status, 408], 0])
  })

  it('what was answered is left to the timers of the package', () => {
    const { layer, log } = fakeLayer()
    const transactions = createTransactions(layer, 10)
    const request = requestOf('OPTIONS')
    transactions.openServer('id', request, connection, from, 0)!.send(makeResponse(request, 200))
    transactions.sweep(1e9, () => {})
    expect(log).toEqual(['OPTIONS send 200'])
  })
})

describe('final responses', () => {
  it.each<[readonly number[], readonly number[]]>([
    [
      [180, 200, 200, 500],
      [180, 200, 200],
    ],
    [[486, 200, 487], [486]],
    [
      [100, 180, 183, 603, 180],
      [100, 180, 183, 603],
    ],
  ])('of %j, %j are sent', (given, sent) => {
    const { layer, log } = fakeLayer()
    const request = requestOf('INVITE')
    const opened = createTransactions(layer, 10).openServer('id', request, connection, from, 0)!
    for (const status of given) opened.send(makeResponse(request, status))
    expect(log).toEqual(sent.map((status) => `INVITE send ${status}`))
  })
})

describe('a response that names a request by branch and Call-ID', () => {
  it.each<[string, string, Record<string, string>, string | undefined]>([
    ['is its own', '192.0.2.1', {}, undefined],
    ['is its own, from a callee that tagged itself', '192.0.2.1', { To: '<sip:a@b>;tag=new' }, undefined],
    ['H3 is from another address', '192.0.2.2', {}, 'response-from-elsewhere'],
    ['H4 has another CSeq number', '192.0.2.1', { CSeq: '2 INVITE' }, 'response-to-another-request'],
    ['H4 has another From tag', '192.0.2.1', { From: '<sip:a@b>;tag=x' }, 'response-to-another-request'],
    ['H4 has no From tag', '192.0.2.1', { From: '<sip:a@b>' }, 'response-to-another-request'],
  ])('%s', (_what, address, headers, reason) => {
    const transactions = createTransactions(fakeLayer().layer, 10)
    transactions.openClient(requestOf('INVITE'), connection, () => {}, 0)
    const response = responseOf({ CSeq: '1 INVITE', ...headers })
    expect(transactions.client(response)!.refuses(response, { address, port: 1 })).toBe(reason)
  })

  it.each<[string, string, string | undefined]>([
    ['as text', '<sip:a@b>;tag=in', 'response-to-another-request'],
    ['as an object', '', 'response-to-another-request'],
  ])('H4 has another To tag than a request in a dialog, written %s', (_what, text, reason) => {
    const transactions = createTransactions(fakeLayer().layer, 10)
    const request = requestOf('BYE')
    const to = text === '' ? { uri: 'sip:a@b', params: { tag: 'in' } } : text
    request.headers.to = to as SipRequest['headers']['to']
    transactions.openClient(request, connection, () => {}, 0)
    const refuses = (To: string) => {
      const response = responseOf({ CSeq: '1 BYE', To })
      return transactions.client(response)!.refuses(response, source)
    }
    expect([refuses('<sip:a@b>;tag=in'), refuses('<sip:a@b>;tag=out')]).toEqual([undefined, reason])
  })
})

describe('L2 who may go on with a server transaction', () => {
  const peer: Identity = { kind: 'peer', peer: 'a', key: { group: 'g', name: 'k' } }
  const user: Identity = { kind: 'user', username: 'u', realm: 'r', attributes: {} }
  it.each<[string, SipRemote, Identity, Identity, boolean]>([
    ['the same', source, peer, peer, true],
    ['the same with another key', source, peer, { ...peer, key: { group: 'g', name: 'new' } }, true],
    ['another port', { ...source, port: 5070 }, peer, peer, false],
    ['another address', { ...source, address: '192.0.2.2' }, peer, peer, false],
    ['another transport', { ...source, protocol: 'TCP' }, peer, peer, false],
    ['another peer', source, peer, { ...peer, peer: 'b' }, false],
    ['a user', source, peer, user, false],
    ['the same user', source, user, { ...user }, true],
    ['another user', source, user, { ...user, username: 'v' }, false],
  ])('%s', (_what, remote, owner, identity, may) => {
    const transactions = createTransactions(fakeLayer().layer, 10)
    const given = { source, identity: owner }
    const opened = transactions.openServer('id', requestOf('OPTIONS'), connection, given, 0)!
    expect(opened.isOf(remote, identity)).toBe(may)
  })
})

it('there is room for so many, and closing ends all', () => {
  const { layer, log } = fakeLayer()
  const transactions = createTransactions(layer, 1)
  const open = (id: string) => transactions.openServer(id, requestOf('OPTIONS'), connection, from, 0)
  expect([open('1') === undefined, open('2') === undefined]).toEqual([false, true])
  const send = () => transactions.openClient(requestOf('OPTIONS'), connection, () => {}, 0)
  expect([send() === undefined, send() === undefined]).toEqual([false, true])
  transactions.close()
  expect([transactions.size, log]).toEqual([0, ['OPTIONS shutdown', 'client OPTIONS shutdown']])
})
