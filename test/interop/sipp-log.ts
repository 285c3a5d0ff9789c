/**
 * What SIPp has logged of its messages.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { headerOf } from './endpoint.ts'
import type { Sipp } from './sipp.ts'

/** Messages that it received, in order; the one that is just being written may be cut short. */
export function receivedBy(sipp: Sipp): string[] {
  return sipp
    .messages()
    .split(/^-{20,}.*\n/m)
    .flatMap((entry) => /^UDP message received \[\d+\] bytes :\n\n([^]*)$/.exec(entry)?.[1] ?? [])
}

/** Waits until it has received messages of so many calls that begin with these words; the first of each call. */
export async function received(sipp: Sipp, start: string, calls: number): Promise<string[]> {
  for (const until = Date.now() + 10_000; Date.now() < until; await sleep(20)) {
    const first = new Map<string, string>()
    for (const message of receivedBy(sipp)) {
      const call = headerOf(message, 'Call-ID')
      if (call === undefined || !message.startsWith(start) || !message.includes('\r\n\r\n')) continue
      if (!first.has(call)) first.set(call, message)
    }
    if (first.size >= calls) return [...first.values()]
  }
  throw new Error(`no ${start} of ${calls} calls:\n${sipp.messages()}`)
}
