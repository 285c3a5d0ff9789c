/**
 * The report of a node in JSON, as files and shared stores hold it.
 * @module
 */
import { z } from 'zod'
import type { NodeReport } from '../keyring/evidence.ts'

const time = z.iso.datetime().transform((text) => new Date(text))
const keyShape = { group: z.string(), key: z.string(), fingerprint: z.string() }

/** Unknown fields are left alone: another version may have written them. */
export const reportSchema = z
  .object({
    version: z.literal(1),
    node: z.string(),
    at: time,
    since: time,
    stopped: time.optional(),
    keys: z.array(z.object({ ...keyShape, since: time })),
    groups: z.array(z.object({ group: z.string(), fingerprint: z.string() })),
    uses: z.array(
      z.object({
        ...keyShape,
        peer: z.string(),
        firstVerified: time.optional(),
        lastVerified: time.optional(),
        lastSigned: time.optional(),
      }),
    ),
    revision: z.int().optional(),
  })
  .transform((found) => {
    const { version: _, ...report } = found
    return report as NodeReport
  })
