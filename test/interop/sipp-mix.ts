/**
 * Calls of many kinds between two SIPp processes: the caller reads the kind of each from a list and names it in the
 * Request-URI, the callee acts on it.
 */
import {
  answer,
  answerInDialog,
  CONTACT,
  DIALOG,
  ofInvite,
  pause,
  PROVISIONAL,
  READ_CALLER,
  recv,
  requestInDialog,
  requestOfCallee,
  scenario,
  send,
} from './sipp-scenarios.ts'

/** Longer than T1: whoever waits for this long sends again. */
const OVER_T1 = 700
/** Percent of the messages that are lost. */
const LOST = 'lost="10"'

/** Who sends what, in one kind of call. */
interface Kind {
  readonly caller: readonly string[]
  /** Behind the INVITE. */
  readonly callee: readonly string[]
}

const INVITE = [send(ofInvite('INVITE')), ...PROVISIONAL]
const ACK = send(requestInDialog('ACK', 1), '')
const CONNECT = [...INVITE, recv('200', 'rrs="true"'), ACK]
const hangUp = (cseq: number): string[] => [send(requestInDialog('BYE', cseq)), recv('200')]
const OK = send(answerInDialog('200 OK'), '')
const HUNG_UP = [recv('BYE'), OK]

const RINGING = send(answer('180 Ringing', CONTACT), '')
const PICK_UP = [RINGING, send(answer('200 OK', CONTACT)), recv('ACK')]

/** An INVITE in the dialog, as its receiver takes it. */
const REINVITED = [recv('INVITE'), send(answerInDialog('200 OK', CONTACT)), recv('ACK')]

/** The call fails: the ACK goes from hop to hop, on the INVITE's own branch. */
const failing = (status: string, more: readonly string[] = []): Kind => ({
  caller: [...INVITE, recv(status.slice(0, 3)), send(ofInvite('ACK', DIALOG), '')],
  callee: [RINGING, send(answer(status, more)), recv('ACK')],
})

/** The answer to the INVITE once the CANCEL has come: a stateful hop's CANCEL has other Via lines than its INVITE. */
const CANCELLED = [
  recv('CANCEL'),
  send(answer('200 OK'), ''),
  send([
    'SIP/2.0 487 Request Terminated',
    ...['via1', 'via2', 'via3'].map((via) => `Via:[$${via}]`),
    'From:[$caller]',
    '[last_To:];tag=[pid]s[call_number]',
    '[last_Call-ID:]',
    'CSeq: 1 INVITE',
    'Content-Length: 0',
  ]),
  recv('ACK'),
]
const cancel = (after: readonly string[]): string[] => [
  send(ofInvite('INVITE')),
  ...after,
  pause(200),
  send(ofInvite('CANCEL')),
  recv('200'),
  recv('487'),
  send(ofInvite('ACK', DIALOG), ''),
]

/** Kinds of calls, by the name that the Request-URI bears. */
const KINDS = {
  plain: { caller: [...CONNECT, ...hangUp(2)], callee: [...PICK_UP, ...HUNG_UP] },
  /** The callee hangs up. */
  dropped: {
    caller: [...CONNECT, ...HUNG_UP],
    callee: [...PICK_UP, send(requestOfCallee('BYE', 1)), recv('200')],
  },
  /** CANCEL before anything but 100. */
  early: { caller: cancel([recv('100')]), callee: [send(answer('100 Trying'), ''), ...CANCELLED] },
  /** CANCEL while it rings. */
  ringing: {
    caller: cancel([recv('100', 'optional="true"'), recv('180')]),
    callee: [RINGING, ...CANCELLED],
  },
  /** The caller sends an INVITE in the dialog. */
  hold: {
    caller: [
      ...CONNECT,
      pause(50),
      send(requestInDialog('INVITE', 2)),
      recv('100', 'optional="true"'),
      recv('200'),
      send(requestInDialog('ACK', 2), ''),
      ...hangUp(3),
    ],
    callee: [...PICK_UP, ...REINVITED, ...HUNG_UP],
  },
  /** The callee does. */
  held: {
    caller: [...CONNECT, ...REINVITED, ...hangUp(2)],
    callee: [
      ...PICK_UP,
      pause(50),
      send(requestOfCallee('INVITE', 1)),
      recv('100', 'optional="true"'),
      recv('200'),
      send(requestOfCallee('ACK', 1), ''),
      ...HUNG_UP,
    ],
  },
  /** Other requests in the dialog, from both ends. */
  talk: {
    caller: [
      ...CONNECT,
      send(requestInDialog('INFO', 2)),
      recv('200'),
      recv('INFO'),
      OK,
      send(requestInDialog('UPDATE', 3)),
      recv('200'),
      recv('UPDATE'),
      OK,
      ...hangUp(4),
    ],
    callee: [
      ...PICK_UP,
      recv('INFO'),
      OK,
      send(requestOfCallee('INFO', 1)),
      recv('200'),
      recv('UPDATE'),
      OK,
      send(requestOfCallee('UPDATE', 2)),
      recv('200'),
      ...HUNG_UP,
    ],
  },
  busy: failing('486 Busy Here'),
  everywhere: failing('600 Busy Everywhere'),
  declined: failing('603 Decline'),
  moved: failing('302 Moved Temporarily', CONTACT),
  /** Nobody answers within T1: INVITE, 200 and BYE go again. */
  slow: {
    caller: [...INVITE, recv('200', 'rrs="true"'), pause(OVER_T1), ACK, ...hangUp(2)],
    callee: [pause(OVER_T1), ...PICK_UP, recv('BYE'), pause(OVER_T1), OK],
  },
  /**
   * Messages are lost on both sides. Not an ACK, because SIPp takes no BYE before it; nor a 180, because SIPp sends
   * that one again in place of its 200 where an INVITE comes twice.
   */
  lossy: {
    caller: [
      send(ofInvite('INVITE'), `retrans="500" ${LOST}`),
      ...PROVISIONAL,
      recv('200', `rrs="true" ${LOST}`),
      ACK,
      send(requestInDialog('BYE', 2), `retrans="500" ${LOST}`),
      recv('200'),
    ],
    callee: [
      RINGING,
      send(answer('200 OK', CONTACT), `retrans="500" ${LOST}`),
      recv('ACK'),
      recv('BYE', LOST),
      OK,
    ],
  },
} as const satisfies Record<string, Kind>

export type KindName = keyof typeof KINDS
const NAMES = Object.keys(KINDS) as KindName[]

/** Calls of each kind in a hundred. */
export const MIX: Readonly<Record<KindName, number>> = {
  plain: 20,
  dropped: 8,
  early: 10,
  ringing: 10,
  hold: 8,
  held: 8,
  talk: 6,
  busy: 5,
  everywhere: 5,
  declined: 5,
  moved: 5,
  slow: 5,
  lossy: 5,
}

/** How many of `calls` are of these kinds. */
export function countOf(calls: number, kinds: readonly KindName[]): number {
  return (kinds.reduce((sum, kind) => sum + MIX[kind], 0) * calls) / 100
}

/** SIPp's list of kinds, one line a call, well shuffled; read again from its start when it ends. */
export function kindList(): string {
  const all = NAMES.flatMap((kind) => Array.from({ length: MIX[kind] }, () => kind))
  // 37 has no factor in common with 100, so every line is taken once.
  return ['SEQUENTIAL', ...all.map((_, i) => all[(i * 37) % all.length])].join('\n') + '\n'
}

/** Jumps to the path of the kind whose name matches. @param where of what `ereg` searches, with the name behind it */
const choose = (expression: (kind: KindName) => string, where: string): string =>
  NAMES.map((kind) => `<ereg regexp="${expression(kind)}" ${where} assign_to="is_${kind}"/>`).join('\n')
const paths = (side: keyof Kind): string[] => [
  ...NAMES.map((kind) => `<nop next="${kind}" test="is_${kind}"/>\n`),
  ...NAMES.flatMap((kind) => [`<label id="${kind}"/>\n`, ...KINDS[kind][side], '<nop next="end"/>\n']),
  '<label id="end"/>\n',
]

export const MIXED = {
  mixedCaller: scenario('calls of many kinds', [
    '<nop><action><assignstr assign_to="kind" value="[field0]"/>',
    choose((kind) => `^${kind}$`, 'search_in="var" variable="kind"'),
    '</action></nop>\n',
    ...paths('caller'),
  ]),
  mixedCallee: scenario('callee of many kinds', [
    `<recv request="INVITE" rrs="true"><action>${READ_CALLER}`,
    ...[1, 2, 3].map(
      (nth) => `<ereg regexp=".*" search_in="hdr" header="Via:" occurrence="${nth}" assign_to="via${nth}"/>`,
    ),
    choose((kind) => `^INVITE sip:${kind}@`, 'search_in="msg"'),
    '</action></recv>\n',
    ...paths('callee'),
  ]),
} as const
