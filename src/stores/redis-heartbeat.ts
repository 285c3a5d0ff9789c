/**
 * Heartbeats as a Redis holds them: the time by the server's clock, a space, JSON.
 * @module
 */
import { z } from 'zod'
import type { FoundHeartbeat, Heartbeat } from '../keyring/keyring-store.ts'
import { reportSchema } from './report-schema.ts'

/** Longest heartbeat that is written or read, characters. */
export const MAX_HEARTBEAT_LENGTH: number = 8 << 20

/** Text that a terminal only shows: who can write to the store may not command those of operators. */
const shown = z.string().regex(/^[^\p{Cc}\p{Cf}]*$/u)

/** Unknown fields are left alone: another version may have written them. */
const heartbeatSchema = z.object({
  format: z.literal(1),
  report: reportSchema,
  keyring: shown,
  version: shown,
  refuses: shown.optional(),
})

/** JSON of a heartbeat. */
export function formatHeartbeat({ report, ...rest }: Heartbeat): string {
  return JSON.stringify({ format: 1, report: { version: 1, ...report }, ...rest })
}

/**
 * Reads what is stored under a node's name. Never throws.
 * @param asked when it was asked for, by the server's clock, epoch milliseconds
 */
export function parseHeartbeat(node: string, stored: string, asked: number): FoundHeartbeat | 'damaged' {
  const [, stamp] = /^(\d{1,15}) /.exec(stored) ?? []
  if (stamp === undefined || stored.length > MAX_HEARTBEAT_LENGTH) return 'damaged'
  const parsed = heartbeatSchema.safeParse(jsonOf(stored.slice(stamp.length + 1)))
  if (!parsed.success || parsed.data.report.node !== node) return 'damaged'
  const { report, keyring, version, refuses } = parsed.data
  const came = Number(stamp)
  return {
    report,
    keyring,
    version,
    ...(refuses !== undefined && { refuses }),
    age: Math.max(0, asked - came),
    ahead: report.at.getTime() - came,
  }
}

/** The same text for a terminal: what would command it is written as JSON writes it, so JSON stays what it is. */
export function showable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (found) =>
    Array.from({ length: found.length }, (_, i) => {
      const code = found.charCodeAt(i).toString(16).padStart(4, '0')
      return `\\u${code}`
    }).join(''),
  )
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
