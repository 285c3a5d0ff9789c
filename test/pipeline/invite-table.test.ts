import { describe, expect, it } from 'vitest'
import { viewOf, type MessageView } from '../../src/message/view.ts'
import { INVITE_TIMES, createInviteTable } from '../../src/pipeline/invite-table.ts'
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

  it('expects the ACK of a failure for 64·T1, and no CANCEL any more', () => {
    const table = createInviteTable(10)
    table.remember('b', view('INVITE'), source, target, 0)
    expect(table.match('b', view('ACK'), source, 1)).toBeUndefined()
    table.note('b', 486, 1000)
    expect(table.match('b', view('CANCEL'), source, 1001)).toBeUndefined()
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

  it.each<[string, Record<string, string>]>([
    ['Call-ID', { 'Call-ID': 'other' }],
    ['CSeq number', { CSeq: '2 CANCEL' }],
    ['From tag', { From: '<sip:alice@atlanta.example>;tag=other' }],
  ])('takes no CANCEL with another %s', (_what, extra) => {
    const table = createInviteTable(10)
    table.remember('b', view('INVITE'), source, target, 0)
    expect(table.match('b', view('CANCEL', 'a', extra), source, 1)).toBeUndefined()
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
    table.remember('a', view('INVITE', 'a'), source, target, 0)
    table.remember('b', view('INVITE', 'b'), source, target, 1)
    expect(table.remember('c', view('INVITE', 'c'), source, target, 2)).toBe('full')
    expect(table.match('a', view('CANCEL', 'a'), source, 3)).toEqual(target)
    expect(table.match('c', view('CANCEL', 'c'), source, 3)).toBeUndefined()
    expect(table.remember('c', view('INVITE', 'c'), source, target, INVITE_TIMES.calling)).toBe('new')
    expect(table.size).toBe(2)
  })
})
