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
/** As it comes back to us: our Via above the peer's, which we stamped. */
const response = (status: number, id = 'a'): MessageView =>
  viewOf(
    parsed(
      bytesOf({
        start: `SIP/2.0 ${status} X`,
        with: {
          Via: `SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKours, SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK${id};received=192.0.2.1;rport=5060`,
          CSeq: '1 INVITE',
        },
      }),
    ),
  )

describe('the table of accepted INVITEs', () => {
  it('keeps a call without an answer for Timer C, to the millisecond', () => {
    const table = createInviteTable(10)
    expect(table.remember(view('INVITE'), source, target, 0)).toBe('new')
    expect(table.match(view('CANCEL'), source, INVITE_TIMES.calling - 1)).toEqual(target)
    expect(table.match(view('CANCEL'), source, INVITE_TIMES.calling)).toBeUndefined()
  })

  it('keeps a call that rings beyond that: a phone that rang for 4 minutes can still be cancelled', () => {
    const table = createInviteTable(10)
    table.remember(view('INVITE'), source, target, 0)
    table.note(response(180), 1000)
    expect(table.match(view('CANCEL'), source, 240_000)).toEqual(target)
  })

  it('does not take 100 for ringing', () => {
    const table = createInviteTable(10)
    table.remember(view('INVITE'), source, target, 0)
    table.note(response(100), 1000)
    expect(table.match(view('CANCEL'), source, INVITE_TIMES.calling)).toBeUndefined()
  })

  it('expects the ACK of a failure for 64·T1, and no CANCEL any more', () => {
    const table = createInviteTable(10)
    table.remember(view('INVITE'), source, target, 0)
    expect(table.match(view('ACK'), source, 1)).toBeUndefined()
    table.note(response(486), 1000)
    expect(table.match(view('CANCEL'), source, 1001)).toBeUndefined()
    expect(table.match(view('ACK'), source, 1000 + INVITE_TIMES.completed - 1)).toEqual(target)
    expect(table.match(view('ACK'), source, 1000 + INVITE_TIMES.completed)).toBeUndefined()
  })

  it('forgets a call that was answered: the ACK of a 2xx is a request of its own', () => {
    const table = createInviteTable(10)
    table.remember(view('INVITE'), source, target, 0)
    table.note(response(200), 1)
    expect(table.match(view('ACK'), source, 2)).toBeUndefined()
    expect(table.size).toBe(0)
  })

  it('takes a retransmission for the same', () => {
    const table = createInviteTable(1)
    expect(table.remember(view('INVITE'), source, target, 0)).toBe('new')
    expect(table.remember(view('INVITE'), source, target, 500)).toBe('same')
    expect(table.size).toBe(1)
  })

  it('evicts nothing where it is full, and has room again when time has passed', () => {
    const table = createInviteTable(2)
    table.remember(view('INVITE', 'a'), source, target, 0)
    table.remember(view('INVITE', 'b'), source, target, 1)
    expect(table.remember(view('INVITE', 'c'), source, target, 2)).toBe('full')
    expect(table.match(view('CANCEL', 'a'), source, 3)).toEqual(target)
    expect(table.match(view('CANCEL', 'c'), source, 3)).toBeUndefined()
    expect(table.remember(view('INVITE', 'c'), source, target, INVITE_TIMES.calling)).toBe('new')
    expect(table.size).toBe(2)
  })

  it('remembers nothing without a branch', () => {
    const table = createInviteTable(2)
    const bare = { Via: 'SIP/2.0/UDP 192.0.2.1:5060' }
    expect(table.remember(view('INVITE', 'a', bare), source, target, 0)).toBe('full')
    expect(table.match(view('CANCEL', 'a', bare), source, 0)).toBeUndefined()
  })
})
