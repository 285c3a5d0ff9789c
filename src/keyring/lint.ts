/**
 * Secrets that should not be in use: ones that can be guessed, and ones that were published.
 * @module
 */
import type { Issue } from '../errors.ts'
import { formatPath } from '../toml.ts'
import type { Key } from './key.ts'
import type { Keyring, KeyRef } from './keyring.ts'

/** One doubtful secret. The message never holds it. */
export interface KeyringLintIssue extends Issue, KeyRef {
  /** `published`: everybody can read it; `weak`: it can be guessed from one token, without sending anything. */
  readonly kind: 'published' | 'weak'
}

const MIN_BYTES = 16
const MIN_DIFFERENT_BYTES = 8
const MIN_WORD_LETTERS = 6

/** Secrets in manuals, examples, this repository's demo keyrings and test vectors, and the first guesses of anybody. */
const PUBLISHED: ReadonlySet<string> = new Set(
  `secret secret1 secret2 mysecret sharedsecret shared-secret shared_secret topsecret password password1 passw0rd
  changeme change-me admin test testkey key letmein kamailio kamailiorw kamailioro kamailio_rules opensips opensipsrw
  asterisk default 12345 123456 12345678 1234567890 qwerty abc123 xyz foobar
  old-secret-2019 mid-secret-2022 new-secret-2025
  xks_DEMO-worthless-because-published-trunk-a-2026q3
  xks_DEMO-worthless-because-published-trunk-a-2026q4
  xks_DEMO-worthless-because-published-trunk-b-2026q4
  xks_DEMO-worthless-because-published-rotation-2029
  xks_DEMO-worthless-because-published-rotation-2030`.split(/\s+/),
)

const WORDS =
  `administrator password passwd secret shared admin default changeme change kamailio opensips asterisk
  freeswitch carrier provider gateway trunk voip proxy qwertyuiop qwerty asdfghjkl asdf letmein welcome monkey dragon
  master iloveyou company example sample demo test user login server phone call auth xkeys key value token old new the
  and abc xyz foo bar`.split(/\s+/)
const WORD = new RegExp(WORDS.toSorted((a, b) => b.length - a.length).join('|'), 'g')

/**
 * Looks at the secret of every key, whatever its state. A secret made by `generateSecret` passes.
 * @returns at most one issue a key, in listed order; empty: nothing to say.
 */
export function lintKeyring(keyring: Keyring): readonly KeyringLintIssue[] {
  return keyring.groups.flatMap((group) =>
    keyring.keys(group).flatMap((key, i): readonly KeyringLintIssue[] => {
      const finding = judge(key)
      return finding
        ? [{ path: formatPath(['groups', group, 'keys', i]), group, name: key.name, ...finding }]
        : []
    }),
  )
}

function judge(key: Key): Pick<KeyringLintIssue, 'kind' | 'message'> | undefined {
  const secret = key.secret.export()
  try {
    return findingOf(key, secret)
  } finally {
    secret.fill(0)
  }
}

function findingOf(key: Key, secret: Buffer): Pick<KeyringLintIssue, 'kind' | 'message'> | undefined {
  if (PUBLISHED.has(secret.toString('latin1')) || PUBLISHED.has(secret.toString('latin1').toLowerCase())) {
    return { kind: 'published', message: `the secret of ${label(key)} is published: replace it` }
  }
  const weakness = weaknessOf(secret)
  if (weakness === undefined) return undefined
  return { kind: 'weak', message: `the secret of ${label(key)} ${weakness}: generate one` }
}

function label(key: Key): string {
  return JSON.stringify(key.name)
}

function weaknessOf(secret: Buffer): string | undefined {
  const text = secret.toString('latin1')
  if (secret.length < MIN_BYTES) return `is shorter than ${MIN_BYTES} bytes`
  if (new Set(secret).size < MIN_DIFFERENT_BYTES) return 'is made of too few different characters'
  if (isRepetition(text)) return 'repeats a short text'
  if (isSequence(secret)) return 'is a row of neighbouring characters'
  if (isMadeOfWords(text)) return 'is made of common words'
  if (isMostlyOneByte(secret)) return 'is mostly one character'
  return undefined
}

/** Whether the text is some part of at most half its length, over and over. */
function isRepetition(text: string): boolean {
  const period = (text + text).indexOf(text, 1)
  return period <= text.length / 2
}

/** Whether most bytes are the one before plus or minus one: `abcdefgh`, `98765`. */
function isSequence(bytes: Uint8Array): boolean {
  const steps = bytes.subarray(1).filter((byte, i) => Math.abs(byte - bytes[i]!) === 1).length
  return steps > bytes.length / 2
}

/** Whether most of what is neither digit nor punctuation belongs to common words. */
function isMadeOfWords(text: string): boolean {
  const letters = text.toLowerCase().replace(/[\x20-\x60\x7b-\x7e]/g, '')
  const inWords = text.toLowerCase().match(WORD)?.join('').length ?? 0
  return inWords >= MIN_WORD_LETTERS && inWords > letters.length / 2
}

function isMostlyOneByte(bytes: Uint8Array): boolean {
  const counts = new Map<number, number>()
  for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1)
  return Math.max(...counts.values()) > bytes.length / 2
}
