/**
 * A caller that goes on when the test tells it to: an INFO that comes straight to its socket, on no trunk.
 */
import { createSocket } from 'node:dgram'
import type { Endpoint } from '../../src/message/types.ts'
import { DIALOG, ofInvite, PROVISIONAL, recv, requestInDialog, scenario, send } from './sipp-scenarios.ts'

const INVITE = send(ofInvite('INVITE'))

/** What it plays; its list names the kind of call for a `mixedCallee`. */
export const TOLD = {
  /** An answered call that lasts until it is told; then it hangs up. */
  talkingCaller: scenario('talks until told', [
    INVITE,
    ...PROVISIONAL,
    recv('200', 'rrs="true"'),
    send(requestInDialog('ACK', 1), ''),
    // Its tag is remembered as the peer's: it has none.
    recv('INFO'),
    send(requestInDialog('BYE', 2)),
    recv('200'),
  ]),
  /** A call that rings until it is told; then it is cancelled. */
  ringingCaller: scenario('rings until told', [
    INVITE,
    recv('100', 'optional="true"'),
    recv('180'),
    recv('INFO'),
    send(ofInvite('CANCEL')),
    recv('200'),
    recv('487'),
    send(ofInvite('ACK', DIALOG), ''),
  ]),
} as const

/** Tells the caller of a call to go on. */
export async function tell(caller: Endpoint, callId: string, to: string): Promise<void> {
  const lines = [
    `INFO sip:sipp@${caller.address} SIP/2.0`,
    'Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKtold',
    `From: ${to}`,
    `To: ${to}`,
    `Call-ID: ${callId}`,
    'CSeq: 1 INFO',
    'Content-Length: 0',
  ]
  const socket = createSocket('udp4')
  await new Promise<void>((resolve, reject) => {
    const sent = (error: Error | null): void => (error === null ? resolve() : reject(error))
    socket.send(`${lines.join('\r\n')}\r\n\r\n`, caller.port, caller.address, sent)
  })
  socket.close()
}
