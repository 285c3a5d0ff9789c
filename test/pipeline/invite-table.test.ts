import { describe, expect, it } from 'vitest'
import { viewOf, type MessageView } from '../../src/message/view.ts'
import { INVITE_TIMES, createInviteTable, transactionName } from '../../src/pipeline/invite-table.ts'
import { bytesOf, parsed } from '../support/messages.ts'

const source = { address: '192.0.2.1', port: 5060 }
const target = { address: '192.0.2.9', port: 5060 }
const view = (method: string, id = 'a', extra: Record<string, string> = {}): MessageView =>
  viewOf(
    parsed(
      bytesOf({
        start: `${method} sip:bob@biloxi.example SIP/2.0`,
        with: { Via: `SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK${id};rport`, CSeq: `1 ${method}`, ...extra },
      }),
    ),
  )
const to = (method: string, asked: string): MessageView =>
  viewOf(parsed(bytesOf({ start: `${method} ${asked} SIP/2.0`, with: { CSeq: `1 ${method}` } })))

describe('the table of accepted INVITEs', () => {
  it('keeps a call without an answer for Timer C, to the millisecond', () => {
    const table = createInviteTable(10)
    expect(table.remember('b', view('INVITE'), source, target, 0)).toBe('new')
    expect(table.match('b', view('CANCEL'), source, INVITE_TIMES.calling - 1)).toEqual(target)
    expect(table.match('b', view('CANCEL'), source, INVITE_TIMES.calling)).toBeUndefined()
  })

  it('keeps a call that rings beyond that: a phone that rang for 4 minutes can still be cancelled', () => {
    const table = createInviteTable(10)
    table.remember('b', view('INVITE'), source, target, 0)
    table.note('b', 180, 1000)
    expect(table.match('b', view('CANCEL'), source, 240_000)).toEqual(target)
  })

  it('does not take 100 for ringing', () => {
    const table = createInviteTable(10)
    table.remember('b', view('INVITE'), source, target, 0)
    table.note('b', 100, 1000)
    expect(table.match('b', view('CANCEL'), source, INVITE_TIMES.calling)).toBeUndefined()
  })

  it('expects the ACK of a failure for 64·T1, and a CANCEL that is sent again', () => {
    const table = createInviteTable(10)
    table.remember('b', view('INVITE'), source, target, 0)
    expect(table.match('b', view('ACK'), source, 1)).toBeUndefined()
    table.note('b', 486, 1000)
    expect(table.match('b', view('CANCEL'), source, 1001)).toEqual(target)
    expect(table.match('b', view('ACK'), source, 1000 + INVITE_TIMES.completed - 1)).toEqual(target)
    expect(table.match('b', view('ACK'), source, 1000 + INVITE_TIMES.completed)).toBeUndefined()
  })

  it('forgets a call that was answered: the ACK of a 2xx is a request of its own', () => {
    const table = createInviteTable(10)
    table.remember('b', view('INVITE'), source, target, 0)
    table.note('b', 200, 1)
    expect(table.match('b', view('ACK'), source, 2)).toBeUndefined()
    expect(table.size).toBe(0)
  })

  it.each(['sip:carol@biloxi.example', `sip:${'x'.repeat(200)}@biloxi.example`])(
    'takes no CANCEL with another Request-URI than %s',
    (uri) => {
      const table = createInviteTable(10)
      table.remember('b', to('INVITE', uri), source, target, 0)
      expect(table.match('b', to('CANCEL', `${uri}x`), source, 1)).toBeUndefined()
      expect(table.match('b', to('CANCEL', uri), source, 1)).toEqual(target)
    },
  )

  it('takes no CANCEL from another port', () => {
    const table = createInviteTable(10)
    table.remember('b', view('INVITE'), source, target, 0)
    expect(table.match('b', view('CANCEL'), { ...source, port: 5061 }, 1)).toBeUndefined()
    expect(table.match('b', view('CANCEL'), source, 1)).toEqual(target)
  })

  it('takes a retransmission for the same', () => {
    const table = createInviteTable(1)
    expect(table.remember('b', view('INVITE'), source, target, 0)).toBe('new')
    expect(table.remember('b', view('INVITE'), source, target, 500)).toBe('same')
    expect(table.size).toBe(1)
  })

  it('evicts nothing where it is full, and has room again when time has passed', () => {
    const table = createInviteTable(2)
    table.remember('a', view('INVITE'), source, target, 0)
    table.remember('b', view('INVITE'), source, target, 1)
    expect(table.remember('c', view('INVITE'), source, target, 2)).toBe('full')
    expect(table.match('a', view('CANCEL'), source, 3)).toEqual(target)
    expect(table.match('c', view('CANCEL'), source, 3)).toBeUndefined()
    expect(table.remember('c', view('INVITE'), source, target, INVITE_TIMES.calling)).toBe('new')
    expect(table.size).toBe(2)
  })
})

describe('the name of a transaction', () => {
  const invite = transactionName(view('INVITE'))

  it('is one for an INVITE, its CANCEL and the ACK of its failure', () => {
    expect(invite).toMatch(/^[\w+/]{43}=$/)
    expect(transactionName(view('CANCEL'))).toBe(invite)
    expect(transactionName(view('ACK', 'a', { To: '<sip:bob@biloxi.example>;tag=failed' }))).toBe(invite)
  })

  it.each<[string, Record<string, string>]>([
    ['branch', { Via: 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother;rport' }],
    ['sent-by', { Via: 'SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport' }],
    ['Call-ID', { 'Call-ID': 'other' }],
    ['CSeq number', { CSeq: '2 CANCEL' }],
    ['From tag', { From: '<sip:alice@atlanta.example>;tag=other' }],
  ])('is another with another %s', (_what, extra) => {
    expect(transactionName(view('CANCEL', 'a', extra))).not.toBe(invite)
  })

  it('is none without a Via that can be read', () => {
    expect(transactionName(view('CANCEL', 'a', { Via: 'nonsense' }))).toBeNull()
  })
})
