import { describe, expect, it } from 'vitest'
import type { PackageConnection, PackageTransactionLayer } from '../../src/adapters/sip-package.ts'
import { makeResponse } from '../../src/adapters/sip-package.ts'
import { toSipMessage } from '../../src/adapters/sip-message.ts'
import { createTransactions, transactionId } from '../../src/adapters/sip-transactions.ts'
import type { SipRequest, SipResponse } from '../../src/adapters/sip-types.ts'
import { viewOf } from '../../src/message/view.ts'
import { bytesOf, parsed } from '../support/messages.ts'

/** The package's layer without its timers: what was asked of it, in words. */
function fakeLayer(): { layer: PackageTransactionLayer; log: string[]; respond: (status: number) => void } {
  const log: string[] = []
  const callbacks: ((response: SipResponse) => void)[] = []
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
      return transaction(`client ${request.method}`, connection)
    },
    getClient: () => undefined,
  }
  return { layer, log, respond: (status) => callbacks[0]!({ status } as SipResponse) }
}

const connection: PackageConnection = { protocol: 'UDP', send() {}, release() {} }
const from = { source: '192.0.2.1', identity: { kind: 'unsigned', peer: 'p' } } as const

function requestOf(method: string, Via = 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1'): SipRequest {
  const bytes = bytesOf({ start: `${method} sip:a@b SIP/2.0`, with: { Via, CSeq: `1 ${method}` } })
  const remote = {
    protocol: 'UDP',
    address: '192.0.2.1',
    port: 5060,
    local: { address: 'a', port: 1 },
  } as const
  const made = toSipMessage(viewOf(parsed(bytes)), remote, new Set())
  if (!made.ok || made.message.method === undefined) throw new Error('no request')
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
