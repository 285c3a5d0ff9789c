/**
 * Error codes, and the one error class that operators see.
 * Messages from the network never end here: they end in results.
 * @module
 */

/** Machine-readable kinds of construction error. */
export type ErrorCode =
  | 'ERR_KEYRING_INVALID'
  | 'ERR_MODPARAM_INVALID'
  | 'ERR_MODPARAM_UNWRITABLE'
  | 'ERR_TEMPLATE_INVALID'
  | 'ERR_AGREEMENT_INVALID'
  | 'ERR_CONFIG_INVALID'
  | 'ERR_PIPELINE_INVALID'
  | 'ERR_FILE_LOCKED'
  | 'ERR_FILE_UNREADABLE'
  | 'ERR_FILE_UNWRITABLE'
  | 'ERR_FILE_CHANGED'

/** One thing that is wrong, and where. */
export interface Issue {
  /** Which file, where the reader may have another one in mind. */
  readonly file?: string
  /** Where: `groups.trunk-a.keys[1].expires`, `column 7`, `trunk.carrier.agreement`. */
  readonly path: string
  /** Line in the file it came from, from 1, where the parser knows it. */
  readonly line?: number
  /** What is wrong and what would be right. Never holds a secret. */
  readonly message: string
}

/**
 * Thrown at construction, never because of a message: something an operator or developer wrote cannot be used.
 * Carries every issue at once.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code: ErrorCode
  readonly issues: readonly Issue[]

  constructor(code: ErrorCode, issues: readonly Issue[], options?: ErrorOptions) {
    super(issues.map(formatIssue).join('\n'), options)
    this.code = code
    this.issues = issues
  }
}

/** Runs `work`; issues of a ConfigError that it throws get the name of the file that they are in, where they have none. */
export function issuesIn<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const issues = error.issues.map((issue) => ({ file, ...issue }))
    throw new ConfigError(error.code, issues, { cause: error })
  }
}

/** The system's code of an error, as `ENOSPC`. @param otherwise what stands for it where there is none */
export function codeOf(error: unknown, otherwise = 'unknown error'): string {
  return error instanceof Error && 'code' in error ? String(error.code) : otherwise
}

/** One issue on one line: `keyring.toml: line 7: groups.a.keys[0].expires: …`. */
export function formatIssue(issue: Issue): string {
  const line = issue.line === undefined ? '' : `line ${issue.line}: `
  const file = issue.file === undefined ? '' : `${issue.file}: `
  return `${file}${line}${issue.path}: ${issue.message}`
}

/** The candidate nearest to `name` by edit distance, if it is near enough to be a slip of the hand. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(name.length / 2)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitute = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(substitute, previous[j]! + 1, current[j - 1]! + 1))
    }
    previous = current
  }
  return previous[b.length]!
}
