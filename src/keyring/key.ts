/**
 * One key: a named secret with the times that decide when it signs and verifies.
 * @module
 */
import { createHash, createSecretKey, KeyObject } from 'node:crypto'
import { ConfigError } from '../errors.ts'
import { formatPath, type TomlPath } from '../toml.ts'

/** A named secret. Immutable; the secret shows in no log, `JSON.stringify` or `util.inspect`. */
export interface Key {
  /** Unique in its group. A label: it is shown and logged, never sent. */
  readonly name: string
  readonly secret: KeyObject
  /**
   * First 8 hexadecimal digits of `SHA-256("auth-xkeys fingerprint" NUL secret)`: the same on every node that holds
   * the secret, so two ends can compare keys by it. Safe to show for a generated secret. For a guessable one it lets a
   * guess be checked, as every token made with it does: see `lintKeyring`.
   */
  readonly fingerprint: string
  /** From here on the key signs; it verifies before, too. Absent: always. */
  readonly activeFrom?: Date
  /** From here on the key neither signs nor verifies. Absent: never. */
  readonly expires?: Date
  /** As `expires`, but somebody's decision to end it: shown as `revoked`. */
  readonly revoked?: Date
}

/** What a key is made of. */
export interface KeyInput {
  readonly name: string
  /** The shared bytes; a string stands for its UTF-8 bytes. Not empty. */
  readonly secret: Uint8Array | string | KeyObject
  readonly activeFrom?: Date | undefined
  readonly expires?: Date | undefined
  readonly revoked?: Date | undefined
}

/** Something wrong with a key or keyring, before it is told with a path of text and a line. */
export interface Problem {
  readonly path: TomlPath
  readonly message: string
}

/**
 * Makes a key. Copies everything it is given.
 * @throws ConfigError `ERR_KEYRING_INVALID`: empty secret, bad name, invalid date, `expires` not after `activeFrom`.
 * @example
 * createKey({ name: '2026-q4', secret: generateSecret(), expires: new Date('2027-04-01T00:00:00Z') })
 */
export function createKey(input: KeyInput): Key {
  const problems = [...keyProblems(input)]
  const bytes = secretBytes(input.secret)
  if (bytes.length === 0) problems.push({ path: ['secret'], message: 'must not be empty' })
  if (problems.length > 0) {
    throw new ConfigError(
      'ERR_KEYRING_INVALID',
      problems.map(({ path, message }) => ({ path: formatPath(path), message })),
    )
  }
  const secret = createSecretKey(bytes)
  const mark = fingerprint(bytes)
  // A copy of our own; what the caller gave is the caller's.
  if (bytes !== input.secret) bytes.fill(0)
  return Object.freeze({
    name: input.name,
    secret,
    fingerprint: mark,
    ...(input.activeFrom && { activeFrom: new Date(input.activeFrom) }),
    ...(input.expires && { expires: new Date(input.expires) }),
    ...(input.revoked && { revoked: new Date(input.revoked) }),
  })
}

/** What is wrong with a key's name and times; paths are the settings' names in TOML. */
export function keyProblems(input: Omit<KeyInput, 'secret'>): readonly Problem[] {
  const problems: Problem[] = labelProblems(['name'], input.name)
  const times = { active_from: input.activeFrom, expires: input.expires, revoked: input.revoked }
  for (const [setting, time] of Object.entries(times)) {
    if (time && Number.isNaN(time.getTime()))
      problems.push({ path: [setting], message: 'is not a valid date' })
  }
  if (input.activeFrom && input.expires && input.activeFrom >= input.expires) {
    problems.push({
      path: ['expires'],
      message: 'must be later than active_from, or the key would never sign',
    })
  }
  return problems
}

/** Names and group ids end in logs and metrics, so they hold no control characters. */
export function labelProblems(path: TomlPath, label: string): Problem[] {
  if (label === '') return [{ path, message: 'must not be empty' }]
  if (/\p{Cc}/u.test(label)) return [{ path, message: 'must not hold control characters' }]
  return []
}

function secretBytes(secret: KeyInput['secret']): Uint8Array {
  if (typeof secret === 'string') return Buffer.from(secret, 'utf8')
  return secret instanceof KeyObject ? secret.export() : secret
}

function fingerprint(secret: Uint8Array): string {
  return createHash('sha256').update('auth-xkeys fingerprint\0').update(secret).digest('hex').slice(0, 8)
}
