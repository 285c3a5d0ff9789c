/**
 * SIPp as caller and callee.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Endpoint } from '../../src/message/types.ts'
import { programPath, start, tempFolder, waitUntil, isFree } from '../support/peers.ts'

/** Messages are written without indent: a blank in front of a header is a fold. */
const send = (lines: readonly string[], attributes = 'retrans="500"'): string =>
  `<send ${attributes}><![CDATA[\n${lines.join('\n')}\n\n]]></send>\n`
const scenario = (name: string, steps: readonly string[]): string =>
  `<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="${name}">\n${steps.join('')}</scenario>\n`

const request = (
  method: string,
  uri: string,
  cseq: number,
  tag: string,
  more: readonly string[] = [],
): string[] => [
  `${method} ${uri} SIP/2.0`,
  'Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport',
  'Max-Forwards: 70',
  'From: "SIPp" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]c[call_number]',
  `To: <sip:service@trunk.example>${tag}`,
  'Call-ID: [call_id]',
  `CSeq: ${cseq} ${method}`,
  'Contact: <sip:sipp@[local_ip]:[local_port]>',
  ...more,
  'Content-Length: 0',
]
const answer = (status: string, more: readonly string[] = []): string[] => [
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
const CONTACT = ['Contact: <sip:service@[local_ip]:[local_port]>']
const INVITE = [
  send(request('INVITE', 'sip:service@trunk.example', 1, '')),
  '<recv response="100" optional="true"/>\n',
  '<recv response="180" optional="true"/>\n',
]
const DIALOG = '[peer_tag_param]'

/** What SIPp plays. */
export const SCENARIOS = {
  /** INVITE, 180, 200, ACK, BYE, 200: the caller hangs up. */
  caller: scenario('caller', [
    ...INVITE,
    '<recv response="200" rrs="true"/>\n',
    send(request('ACK', '[next_url]', 1, DIALOG, ['[routes]']), ''),
    send(request('BYE', '[next_url]', 2, DIALOG, ['[routes]'])),
    '<recv response="200"/>\n',
  ]),
  callee: scenario('callee', [
    '<recv request="INVITE"/>\n',
    send(answer('180 Ringing', CONTACT), ''),
    send(answer('200 OK', CONTACT)),
    '<recv request="ACK"/>\n',
    '<recv request="BYE"/>\n',
    send(
      answer('200 OK').map((line) => line.replace(/;tag=.*/, '')),
      '',
    ),
  ]),
  /** The same, but the callee hangs up. */
  waitingCaller: scenario('waiting caller', [
    ...INVITE,
    '<recv response="200" rrs="true"/>\n',
    send(request('ACK', '[next_url]', 1, DIALOG, ['[routes]']), ''),
    '<recv request="BYE"/>\n',
    send(
      answer('200 OK').map((line) => line.replace(/;tag=.*/, '')),
      '',
    ),
  ]),
  hangingUpCallee: scenario('callee that hangs up', [
    `<recv request="INVITE" rrs="true"><action><ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/></action></recv>\n`,
    send(answer('180 Ringing', CONTACT), ''),
    send(answer('200 OK', CONTACT)),
    '<recv request="ACK"/>\n',
    send(
      request('BYE', '[next_url]', 1, '', ['[routes]']).map((line) =>
        line
          .replace(/^From: .*/, 'From: <sip:service@trunk.example>;tag=[pid]s[call_number]')
          .replace(/^To: .*/, 'To:[$caller]'),
      ),
    ),
    '<recv response="200"/>\n',
  ]),
  /** One request that is refused. */
  refused: scenario('refused', [
    send(request('OPTIONS', 'sip:service@trunk.example', 1, '')),
    '<recv response="403"/>\n',
  ]),
} as const

/** How a run ended. */
export interface SippResult {
  /** 0: every call went as the scenario says. */
  readonly code: number | null
  readonly output: string
  readonly successful: number
  readonly failed: number
  readonly retransmissions: number
}

/** What to play, and where. */
export interface SippOptions {
  readonly scenario: keyof typeof SCENARIOS
  readonly local: Endpoint
  /** Where a caller sends to; a callee has none. */
  readonly to?: Endpoint
  readonly calls: number
  /** Calls a second. */
  readonly rate?: number
}

/** Starts SIPp; resolves once its socket is bound. It ends by itself after `calls`, or 40 seconds. */
export async function startSipp({
  scenario,
  local,
  to,
  calls,
  rate = 100,
}: SippOptions): Promise<{ readonly result: Promise<SippResult> }> {
  const folder = tempFolder()
  const file = join(folder, 'scenario.xml')
  const table = join(folder, 'statistics.csv')
  writeFileSync(file, SCENARIOS[scenario])
  const sipp = start(
    programPath('sipp'),
    [
      ['-sf', file, '-i', local.address, '-p', String(local.port), '-m', String(calls), '-nostdin'],
      ['-trace_stat', '-stf', table, '-fd', '1', '-trace_err', '-error_file', join(folder, 'errors.log')],
      ['-timeout', '40s', '-timeout_error', '-recv_timeout', '8000'],
      to === undefined ? [] : ['-r', String(rate), `${to.address}:${to.port}`],
    ].flat(),
    folder,
  )
  const result = sipp.ended.then((code): SippResult => {
    const [names = '', ...rows] = readText(table).trim().split('\n')
    const values = rows.at(-1)?.split(';') ?? []
    const column = (name: string): number => Number(values[names.split(';').indexOf(name)] ?? NaN)
    return {
      code,
      output: sipp.output() + readText(join(folder, 'errors.log')),
      successful: column('SuccessfulCall(C)'),
      failed: column('FailedCall(C)'),
      retransmissions: column('Retransmissions(C)'),
    }
  })
  // A caller needs no waiting for, and a short run may be over by now.
  if (to === undefined) await waitUntil(sipp, async () => !(await isFree(local)))
  return { result }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
