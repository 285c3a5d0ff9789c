/**
 * SIPp's scenarios, and what they are made of.
 */

/** `retrans` makes SIPp send again until an answer comes, from 500 ms on. */
const RETRANS = 'retrans="500"'

/** A message to send. They are written without indent: a blank in front of a header is a fold. */
export const send = (lines: readonly string[], attributes = RETRANS): string =>
  `<send ${attributes}><![CDATA[\n${lines.join('\n')}\n\n]]></send>\n`
export const scenario = (name: string, steps: readonly string[]): string =>
  `<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="${name}">\n${steps.join('')}</scenario>\n`
export const pause = (milliseconds: number): string => `<pause milliseconds="${milliseconds}"/>\n`

/** Waits for a request, or for a response where it is a status. */
export const recv = (what: string, attributes = ''): string => {
  const kind = /^\d/.test(what) ? 'response' : 'request'
  return `<recv ${kind}="${what}" ${attributes}/>\n`
}
export const PROVISIONAL = [recv('100', 'optional="true"'), recv('180', 'optional="true"')]

/** What a caller's request has beside the ordinary. */
export interface RequestParts {
  readonly more?: readonly string[]
  /** The branch, where it must be the one of an earlier request. */
  readonly branch?: string
}

/** A request of the caller. @param tag of the callee, with `;tag=` */
export const request = (
  method: string,
  uri: string,
  cseq: number,
  tag: string,
  { more = [], branch = '[branch]' }: RequestParts = {},
): string[] => [
  `${method} ${uri} SIP/2.0`,
  `Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=${branch};rport`,
  'Max-Forwards: 70',
  'From: "SIPp" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]c[call_number]',
  `To: <sip:service@trunk.example>${tag}`,
  'Call-ID: [call_id]',
  `CSeq: ${cseq} ${method}`,
  'Contact: <sip:sipp@[local_ip]:[local_port]>',
  ...more,
  'Content-Length: 0',
]

/** The callee's answer to what came last. */
export const answer = (status: string, more: readonly string[] = []): string[] => [
  `SIP/2.0 ${status}`,
  '[last_Via:]',
  '[last_Record-Route:]',
  '[last_From:]',
  '[last_To:];tag=[pid]s[call_number]',
  '[last_Call-ID:]',
  '[last_CSeq:]',
  ...more,
  'Content-Length: 0',
]
/** An answer in a dialog, by either: the To tag is there. */
export const answerInDialog = (status: string, more: readonly string[] = []): string[] =>
  answer(status, more).map((line) => line.replace(/;tag=.*/, ''))

/** A request of the callee in the dialog. `caller` is what the scenario has read from the caller's From. */
export const requestOfCallee = (method: string, cseq: number): string[] =>
  request(method, '[next_url]', cseq, '', { more: ['[routes]'] }).map((line) =>
    line
      .replace(/^From: .*/, 'From: <sip:service@trunk.example>;tag=[pid]s[call_number]')
      .replace(/^To: .*/, 'To:[$caller]')
      .replace(/^Contact: .*/, CONTACT[0]!),
  )

/**
 * A request on the branch of the INVITE, which its CANCEL and the ACK of its failure share; SIPp's own branches count
 * steps. The list of a caller names who is called.
 */
export const ofInvite = (method: string, tag = ''): string[] =>
  request(method, 'sip:[field0]@trunk.example', 1, tag, {
    branch: 'z9hG4bK-[pid]-[call_number]-invite',
  })

export const CONTACT = ['Contact: <sip:service@[local_ip]:[local_port]>']
export const DIALOG = '[peer_tag_param]'

/** A caller's request in the dialog. */
export const requestInDialog = (method: string, cseq: number): string[] =>
  request(method, '[next_url]', cseq, DIALOG, { more: ['[routes]'] })

/** The caller's From, for the callee's own requests. */
export const READ_CALLER = '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/>'

const INVITE = [send(request('INVITE', 'sip:service@trunk.example', 1, '')), ...PROVISIONAL]

const ANSWERED_INVITE = [...INVITE, recv('200', 'rrs="true"'), send(requestInDialog('ACK', 1), '')]
const BYE_OF_CALLER = [send(requestInDialog('BYE', 2)), recv('200')]
const ANSWERING = [send(answer('180 Ringing', CONTACT), ''), send(answer('200 OK', CONTACT)), recv('ACK')]
const BYE_TO_CALLEE = [recv('BYE'), send(answerInDialog('200 OK'), '')]

/** What SIPp plays, one kind of call each. */
export const SCENARIOS = {
  /** INVITE, 180, 200, ACK, BYE, 200: the caller hangs up. */
  caller: scenario('caller', [...ANSWERED_INVITE, ...BYE_OF_CALLER]),
  callee: scenario('callee', [recv('INVITE'), ...ANSWERING, ...BYE_TO_CALLEE]),
  /** The same, but the callee hangs up. */
  waitingCaller: scenario('waiting caller', [
    ...ANSWERED_INVITE,
    recv('BYE'),
    send(answerInDialog('200 OK'), ''),
  ]),
  hangingUpCallee: scenario('callee that hangs up', [
    `<recv request="INVITE" rrs="true"><action>${READ_CALLER}</action></recv>\n`,
    ...ANSWERING,
    send(requestOfCallee('BYE', 1)),
    recv('200'),
  ]),
  /** One request that is refused. */
  refused: scenario('refused', [send(request('OPTIONS', 'sip:service@trunk.example', 1, '')), recv('403')]),
} as const
