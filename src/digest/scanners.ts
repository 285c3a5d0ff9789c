/**
 * Programs that look for telephone systems to break into, as they name themselves. Whoever hides his name passes: what
 * such a request costs is all that is saved.
 * @module
 */
import { ConfigError } from '../errors.ts'
import { headerSelector } from '../message/header-names.ts'
import type { MessageView } from '../message/view.ts'

/** Parts of the User-Agent of such programs. */
export const SCANNERS: readonly string[] = [
  'friendly-scanner',
  'sipvicious',
  'sipcli',
  'vaxsipuseragent',
  'vaxipuseragent',
  'pplsip',
  'sundayddr',
  'sivus',
  'sip-scan',
]

const USER_AGENT = headerSelector('User-Agent')

/** Whether a request says that it comes from one of them. */
export type ScannerMatcher = (view: MessageView) => boolean

/**
 * Compiles a list.
 * @param parts of User-Agents, in any case
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every part that is empty
 */
export function compileScanners(parts: readonly string[]): ScannerMatcher {
  const issues = parts.flatMap((part, i) =>
    part.trim() === '' ? [{ path: `scanners[${i}]`, message: 'is empty: it would fit every device' }] : [],
  )
  if (issues.length > 0) throw new ConfigError('ERR_PIPELINE_INVALID', issues)
  const lower = parts.map((part) => part.toLowerCase())
  return (view) => {
    if (lower.length === 0) return false
    for (let row = view.find(USER_AGENT, 0); row >= 0; row = view.find(USER_AGENT, row + 1)) {
      const name = view.text(view.valueStart(row), view.valueEnd(row)).toLowerCase()
      if (lower.some((part) => name.includes(part))) return true
    }
    return false
  }
}
