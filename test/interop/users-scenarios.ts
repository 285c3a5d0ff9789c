/**
 * SIPp as a telephone of a user: it is challenged, and answers with MD5, which is all it has.
 */
import {
  answer,
  answerInDialog,
  CONTACT,
  DIALOG,
  PROVISIONAL,
  recv,
  request,
  requestInDialog,
  scenario,
  send,
  type RequestParts,
} from './sipp-scenarios.ts'

/** Credentials stand in the list as SIPp writes them: it takes no fields in them. */
const CREDENTIALS = '[field1]'

/** A line of the list of these scenarios. @param callee user who is called */
export const userLine = (username: string, password: string, callee: string): string =>
  `${username};[authentication username=${username} password=${password}];${callee}\n`

const asUser = (lines: readonly string[]): string[] =>
  lines.map((line) =>
    line
      .replace(/^From: .*/, 'From: <sip:[field0]@example.org>;tag=[pid]c[call_number]')
      .replace(/^To: <.*?>/, (to) => (to.includes('example.org') ? to : 'To: <sip:[field2]@example.org>'))
      .replace(/^Contact: .*/, 'Contact: <sip:[field0]@[local_ip]:[local_port]>')
      .replace(/^Max-Forwards: .*/, '$&\nUser-Agent: SIPp'),
  )

const register = (cseq: number, more: readonly string[] = []): string[] =>
  asUser(request('REGISTER', 'sip:example.org', cseq, '', { more: ['Expires: 300', ...more] })).map((line) =>
    line.replace(/^To: .*/, 'To: <sip:[field0]@example.org>'),
  )

/** A request of the call, on the branch of its INVITE: an ACK of a failure has the same. */
const ofCall = (method: string, cseq: number, tag = '', more: RequestParts['more'] = []): string[] =>
  asUser(
    request(method, 'sip:[field2]@example.org', cseq, tag, {
      more,
      branch: `z9hG4bK-[pid]-[call_number]-${cseq}`,
    }),
  )

const REGISTERING = [
  send(register(1)),
  recv('401', 'auth="true"'),
  // A tag of the challenge must not stay in To.
  send(register(2, [CREDENTIALS])),
]
const CALLING = [
  send(ofCall('INVITE', 1)),
  recv('407', 'auth="true"'),
  send(ofCall('ACK', 1, DIALOG), ''),
  send(ofCall('INVITE', 2, '', [CREDENTIALS])),
  ...PROVISIONAL,
]

const SDP = [
  'v=0',
  'o=- 1 1 IN IP4 [local_ip]',
  's=-',
  'c=IN IP4 [local_ip]',
  't=0 0',
  'm=audio 9 RTP/AVP 0',
  'a=inactive',
]

/** With an offer or its answer: a telephone hangs up on a call that has no session. */
const withSession = (lines: readonly string[]): string[] =>
  lines
    .map((line) =>
      line.replace(/^Content-Length: .*/, 'Content-Type: application/sdp\nContent-Length: [len]'),
    )
    .concat('', SDP)

/** Where a telephone is: SIPp's own `next_url` takes the URN of an instance for it. */
const READ_CONTACT = '<ereg regexp="sip:[^&gt;;]*" search_in="hdr" header="Contact:" assign_to="contact"/>'
const toContact = (method: string, cseq: number): string[] =>
  requestInDialog(method, cseq).map((line) => line.replace('[next_url]', '[$contact]'))

/** What SIPp plays as a user, and to one. */
export const OF_USERS = {
  registration: scenario('registers', [...REGISTERING, recv('200')]),
  refusedRegistration: scenario('registers with a wrong password', [...REGISTERING, recv('403')]),
  unavailableRegistration: scenario('registers where no database is', [...REGISTERING, recv('503')]),
  /** A call of an extension: whoever is between answers the challenges. */
  extensionCaller: scenario('calls through a PBX', [
    send(ofCall('INVITE', 1)),
    ...PROVISIONAL,
    recv('200', 'rrs="true"'),
    send(asUser(requestInDialog('ACK', 1)), ''),
    send(asUser(requestInDialog('BYE', 2))),
    recv('200'),
  ]),
  refusedExtensionCaller: scenario('calls through a PBX with a wrong password', [
    send(ofCall('INVITE', 1)),
    recv('100', 'optional="true"'),
    recv('403'),
    send(ofCall('ACK', 1, DIALOG), ''),
  ]),
  userCaller: scenario('calls', [
    ...CALLING,
    recv('200', 'rrs="true"'),
    send(asUser(requestInDialog('ACK', 2)), ''),
    send(asUser(requestInDialog('BYE', 3))),
    recv('200'),
  ]),
  refusedUserCaller: scenario('calls with a wrong password', [
    ...CALLING,
    recv('403'),
    send(ofCall('ACK', 2, DIALOG), ''),
  ]),
  /** A telephone that answers, and a service that does. */
  sessionCallee: scenario('answers', [
    recv('INVITE'),
    send(answer('180 Ringing', CONTACT), ''),
    send(withSession(answer('200 OK', CONTACT))),
    recv('ACK'),
    recv('BYE'),
    send(answerInDialog('200 OK'), ''),
  ]),
  /** Answers, and repeats its last answer for as long as the BYE may come again: on a busy machine some is lost. */
  patientCallee: scenario('answers patiently', [
    recv('INVITE'),
    send(answer('180 Ringing', CONTACT), ''),
    send(answer('200 OK', CONTACT)),
    recv('ACK'),
    recv('BYE'),
    send(answerInDialog('200 OK'), ''),
    '<timewait milliseconds="4000"/>\n',
  ]),
  decliningCallee: scenario('declines', [recv('INVITE'), send(answer('486 Busy Here')), recv('ACK')]),
  /** Calls the user that its list names, and hangs up. */
  sessionCaller: scenario('calls a user', [
    send(
      withSession(
        request('INVITE', 'sip:[field0]@example.org', 1, '').map((line) =>
          line.replace(/^To: .*/, 'To: <sip:[field0]@example.org>'),
        ),
      ),
    ),
    ...PROVISIONAL,
    `<recv response="200" rrs="true"><action>${READ_CONTACT}</action></recv>\n`,
    send(toContact('ACK', 1), ''),
    send(toContact('BYE', 2)),
    recv('200'),
  ]),
} as const
