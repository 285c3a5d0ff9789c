// @ts-check
/**
 * The messages that are measured: an INVITE with SDP as a carrier sends it, about 1.1 kB with its token; Call-ID, CSeq,
 * users, tag and branch differ from one to the next.
 */
const SDP = [
  'v=0',
  'o=alice 2890844526 2890844526 IN IP4 192.0.2.10',
  's=-',
  'c=IN IP4 192.0.2.10',
  't=0 0',
  'm=audio 49172 RTP/AVP 0 8 18 101',
  'a=rtpmap:0 PCMU/8000',
  'a=rtpmap:8 PCMA/8000',
  'a=rtpmap:18 G729/8000',
  'a=rtpmap:101 telephone-event/8000',
  'a=fmtp:101 0-16',
  'a=sendrecv',
  '',
].join('\r\n')

/** How many different messages a run goes through. */
export const VARIANTS = 512

export const SOURCE = { address: '192.0.2.10', port: 5060 }
export const LOCAL = { address: '192.0.2.20', port: 5060 }

/** @param {number} i */
export function invite(i) {
  const number = String(i).padStart(7, '0')
  const from = `sip:alice${String(i % 1000).padStart(4, '0')}@atlanta.example.com`
  const to = `sip:+1555${number}@biloxi.example.com:5060`
  return Buffer.from(
    [
      `INVITE ${to} SIP/2.0`,
      `Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKp${number}nashds8;rport`,
      'Max-Forwards: 70',
      `From: "Alice Example" <${from}>;tag=t${i.toString(16).padStart(8, '0')}`,
      `To: <${to}>`,
      `Call-ID: ${i.toString(16).padStart(8, '0')}-4f2a-11ee-be56-0242ac120002@atlanta.example.com`,
      `CSeq: ${100000 + i} INVITE`,
      `Contact: <sip:alice@192.0.2.10:5060;transport=udp>`,
      'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, PRACK, UPDATE',
      'Supported: 100rel, timer, replaces',
      'User-Agent: Example SBC/7.4.2',
      'Session-Expires: 1800;refresher=uac',
      'Min-SE: 90',
      'Date: Sat, 21 Nov 2026 10:00:00 GMT',
      `P-Asserted-Identity: <${from}>`,
      'Content-Type: application/sdp',
      `Content-Length: ${SDP.length}`,
      '',
      SDP,
    ].join('\r\n'),
  )
}
