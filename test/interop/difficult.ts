/**
 * Messages with texts that are easily changed on the way, and the templates that peers use.
 */
import type { Endpoint } from '../../src/message/types.ts'

/** Templates of requests; SELF stands for the sender's address: `$Ri` with the sender, `$si` with the receiver. */
export const REQUEST_TEMPLATES = [
  'SELF:$fu:$ru:$hdr(CSeq)',
  'SELF:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)',
  '$fU@$fd>$tU@$td',
  '$rU|$rd|$rp|$rm|$cs|$ci',
  '$ft:$tt:$hdr(Call-ID):$hdr(call-id)',
  '$hdr(X-Trunk):$(hdr(X-Trunk)[1]):$(hdr(X-Trunk)[-1]):$(hdr(X-Trunk)[*])',
  '$(rb{s.sha256}):$hdr(Content-Type)',
  '$(fu{uri.user})|$(fu{uri.host})|$(ru{uri.port})|$(ru{uri.params})',
  '$fn:$tn:$ai:$hdr(P-Asserted-Identity)',
  '$hdr(From):$hdr(To):$hdr(Contact):$ct',
  '$hdr(Subject):$hdr(User-Agent):$ua',
  'fixed text, $$ and $rs',
] as const

/** Templates of responses. */
export const RESPONSE_TEMPLATES = [
  'SELF:$rs:$fu:$hdr(CSeq)',
  'SELF:$rs:$rr:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)',
  '$rs|$rm|$ru|$rU',
  '$rs:$(rb{s.sha256}):$hdr(Content-Type)',
  '$rs:$hdr(X-Trunk):$(hdr(X-Trunk)[-1])',
  '$rs:$fn:$tn:$hdr(From):$hdr(To)',
  '$rs:$hdr(Contact):$ua:$hdr(Subject)',
] as const

export const sender = (template: string): string => template.replace('SELF', '$Ri')
export const receiver = (template: string): string => template.replace('SELF', '$si')

const SDP =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n'
const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

interface Parts {
  readonly uri?: string
  readonly from?: string
  readonly to?: string
  readonly callId?: string
  readonly cseq?: string
  readonly more?: readonly string[]
  readonly body?: string
}

const PARTS: Readonly<Record<string, Parts>> = {
  plain: { more: ['Contact: <sip:alice@127.0.0.1:5066>', 'User-Agent: unit/1.0'] },
  body: { more: ['Content-Type: application/sdp', `Content-Length: ${SDP.length}`], body: SDP },
  folds: {
    more: ['X-Trunk: one\r\n two\r\n\t three', 'Subject:\r\n folded at once', 'User-Agent: a\r\n  b'],
    from: 'Alice\r\n <sip:alice@atlanta.example>\r\n ;tag=f1',
  },
  'trailing blanks': {
    callId: 'trailing@atlanta.example \t',
    cseq: 'CSeq: 7 INVITE  ',
    more: ['X-Trunk: blank behind \t ', 'Subject: two  ', 'User-Agent:   both sides   '],
  },
  'quoted display names': {
    from: '"Alice \\"the <one>\\", A." <sip:alice@atlanta.example>;tag=q1',
    to: '"" <sip:bob@biloxi.example>',
    more: ['Contact: "C, D" <sip:c@127.0.0.1;ob>;expires=60', 'X-Trunk: "quoted, text"'],
  },
  utf8: {
    from: utf8('"Zoë Ångström" <sip:zo%C3%AB@atlanta.example>;tag=u1'),
    to: utf8('田中 <sip:tanaka@biloxi.example>'),
    more: [utf8('Subject: naïve – 漢字'), utf8('X-Trunk: ключ')],
  },
  compact: {
    from: 'f: Alice <sip:alice@atlanta.example>;tag=c1',
    to: 't: <sip:bob@biloxi.example>',
    callId: 'i: compact@atlanta.example',
    more: ['m: <sip:alice@127.0.0.1>', 's: short', 'c: text/plain', 'l: 5', 'X-Trunk: x'],
    body: 'hello',
  },
  'IPv6 R-URI': {
    uri: 'sip:bob@[2001:DB8::1]:5070;transport=udp',
    from: '<sip:alice@[2001:db8::2]>;tag=v6',
    more: ['X-Trunk: [::1]'],
  },
  'repeated headers': {
    more: ['X-Trunk: first', 'X-Trunk:', 'x-trunk: third, and more', 'X-TRUNK : fourth'],
  },
  identities: {
    more: ['P-Asserted-Identity: "A" <sip:a@atlanta.example>, <tel:+15550100>', 'X-Trunk: 0'],
  },
  'bare addresses': {
    uri: 'sip:biloxi.example;user=phone?Subject=x',
    from: 'sip:alice:secret@atlanta.example:5061;tag=b1;x=y',
    to: '<sip:+15550100;phone-context=+1@biloxi.example;user=phone>;tag=b2',
  },
  'tel URIs': {
    uri: 'tel:+1-555-0100;phone-context=example.com',
    from: '<tel:+15550199>;tag=t1',
    to: '<tel:+15550100>',
  },
}

const line = (name: string, value: string): string => (/^\w: /.test(value) ? value : `${name}: ${value}`)

function rest({ from, to, callId, cseq, more, body }: Parts, id: string): string {
  return [
    line('From', from ?? 'Alice <sip:alice@atlanta.example>;tag=1928'),
    line('To', to ?? '<sip:bob@biloxi.example>'),
    line('Call-ID', callId ?? `${id}@atlanta.example`),
    cseq ?? 'CSeq: 7 INVITE',
    ...(more ?? []),
    '',
    body ?? '',
  ].join('\r\n')
}

/** A message by name. */
export type Named = readonly [name: string, bytes: Buffer]

/** The requests, as `from` sends them. */
export function difficultRequests(from: Endpoint): Named[] {
  return Object.entries(PARTS).map(([name, parts], index) => [
    name,
    Buffer.from(
      [
        `INVITE ${parts.uri ?? 'sip:bob@biloxi.example'} SIP/2.0`,
        `Via: SIP/2.0/UDP ${from.address}:${from.port};branch=z9hG4bKrequest${index};rport`,
        'Max-Forwards: 70',
        rest(parts, `request${index}`),
      ].join('\r\n'),
      'latin1',
    ),
  ])
}

/** The responses: they come back through `proxy` to `to`. */
export function difficultResponses(proxy: Endpoint, to: Endpoint): Named[] {
  const status = ['200 OK', '180 Ringing', '183 ', '486 Busy  Here ', '603 Non, merci']
  return Object.entries(PARTS).map(([name, parts], index) => [
    name,
    Buffer.from(
      [
        `SIP/2.0 ${status[index % status.length]}`,
        `Via: SIP/2.0/UDP ${proxy.address}:${proxy.port};branch=z9hG4bKproxy${index}`,
        `Via: SIP/2.0/UDP ${to.address}:${to.port};branch=z9hG4bKresponse${index}`,
        rest(parts, `response${index}`),
      ].join('\r\n'),
      'latin1',
    ),
  ])
}
