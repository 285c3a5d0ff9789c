/**
 * SIPp as caller and callee.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Endpoint } from '../../src/message/types.ts'
import { programPath, start, tempFolder, waitUntil, isFree } from '../support/peers.ts'
import { MIXED } from './sipp-mix.ts'
import { SCENARIOS } from './sipp-scenarios.ts'
import { TOLD } from './sipp-told.ts'
import { OF_USERS } from './users-scenarios.ts'

const ALL = { ...SCENARIOS, ...MIXED, ...TOLD, ...OF_USERS }

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
  readonly scenario: keyof typeof ALL
  readonly local: Endpoint
  /** Where a caller sends to; a callee has none. */
  readonly to?: Endpoint
  readonly calls: number
  /** Calls a second. */
  readonly rate?: number
  /** Its list of fields, one line a call. */
  readonly list?: string
  /** Longest run, seconds. */
  readonly seconds?: number
  /** How long a message is waited for, seconds. */
  readonly patience?: number
  /** The digest-uri that it hashes, without its scheme; by default the address that it sends to. */
  readonly authUri?: string
  /** What to keep for the test to read. */
  readonly keep?: 'messages'
}

/** SIPp at work. */
export interface Sipp {
  readonly result: Promise<SippResult>
  /** What it has sent and received so far, where that is kept: each message behind a line that tells when. */
  messages(): string
}

/** Starts SIPp; resolves once its socket is bound. It ends by itself after `calls`, or its time. */
export async function startSipp({
  scenario,
  local,
  to,
  calls,
  rate = 100,
  list,
  seconds = 40,
  patience = 8,
  authUri,
  keep,
}: SippOptions): Promise<Sipp> {
  const folder = tempFolder()
  const path = (name: string): string => join(folder, name)
  writeFileSync(path('scenario.xml'), ALL[scenario])
  if (list !== undefined) writeFileSync(path('list.csv'), list)
  const sipp = start(
    programPath('sipp'),
    [
      ['-sf', path('scenario.xml'), '-i', local.address, '-p', String(local.port), '-m', String(calls)],
      ['-trace_stat', '-stf', path('statistics.csv'), '-fd', '1', '-nostdin'],
      ['-trace_err', '-error_file', path('errors.log')],
      keep === undefined ? [] : ['-trace_msg', '-message_file', path('messages.log')],
      ['-timeout', `${seconds}s`, '-timeout_error', '-recv_timeout', String(patience * 1000)],
      // Of 11 messages one may arrive where many are lost.
      ['-max_invite_retrans', '10'],
      list === undefined ? [] : ['-inf', path('list.csv')],
      authUri === undefined ? [] : ['-auth_uri', authUri],
      to === undefined ? [] : ['-r', String(rate), `${to.address}:${to.port}`],
    ].flat(),
    folder,
  )
  const result = sipp.ended.then((code): SippResult => {
    const [names = '', ...rows] = readText(path('statistics.csv')).trim().split('\n')
    const values = rows.at(-1)?.split(';') ?? []
    const column = (name: string): number => Number(values[names.split(';').indexOf(name)] ?? NaN)
    return {
      code,
      output: sipp.output() + readText(path('errors.log')),
      successful: column('SuccessfulCall(C)'),
      failed: column('FailedCall(C)'),
      retransmissions: column('Retransmissions(C)'),
    }
  })
  // A caller needs no waiting for, and a short run may be over by now.
  if (to === undefined) await waitUntil(sipp, async () => !(await isFree(local)))
  return { result, messages: () => readText(path('messages.log')) }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
