/**
 * The table `[seal]` of a sealed keyring.
 * @module
 */
import { describeToml, type TomlTable, type TomlValue, type Report } from '../toml.ts'
import { labelProblems } from './key.ts'
import { reportUnknown } from './parse-key.ts'
import type { Kek, KekSource } from './seal-crypto.ts'

/** What the table says. */
export interface SealTable {
  /** Name of the keyring. */
  readonly keyring: string
  /** Id of the KEK. */
  readonly kek: string
  readonly revision: number
  readonly mac: string
}

/** The table and the KEK it names. */
export interface Seal extends SealTable {
  readonly opened: Kek
}

/** Its settings, in the order in which they are written. */
export const SEAL_SETTINGS = ['keyring', 'kek', 'revision', 'mac'] as const

/** Reads the table and finds its KEK; what is missing or wrong is reported. */
export function readSeal(value: TomlValue, source: KekSource | undefined, report: Report): Seal | undefined {
  const table = readSealTable(value, report)
  if (table === undefined) return undefined
  if (source === undefined) {
    return report(['seal'], 'the keyring is sealed, and no key-encryption key is given to open it')
  }
  if (source.keyring !== undefined && source.keyring !== table.keyring) {
    report(
      ['seal', 'keyring'],
      `the keyring here must be the one sealed as ${JSON.stringify(source.keyring)}`,
    )
  }
  try {
    const opened = source.find(table.kek)
    if (opened !== undefined) return { ...table, opened }
    return report(['seal', 'kek'], 'it is sealed with another key-encryption key than the one given')
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown error'
    return report(['seal', 'kek'], `the key-encryption key cannot be fetched: ${reason}`)
  }
}

/** Reads the table alone: whether its KEK is at hand is not asked. */
export function readSealTable(value: TomlValue, report: Report): SealTable | undefined {
  if (typeof value !== 'object' || Array.isArray(value) || value instanceof Date) {
    return report(['seal'], `must be written as a table [seal], is ${describeToml(value)}`)
  }
  const table = value as TomlTable
  reportUnknown(table, SEAL_SETTINGS, ['seal'], report)
  const keyring = readText(table, 'keyring', report)
  const kek = readText(table, 'kek', report)
  const mac = readText(table, 'mac', report)
  const revision = table['revision']
  if (!isRevision(revision)) {
    return report(
      ['seal', 'revision'],
      revision === undefined ? 'is missing' : 'must be a whole number, at least 1',
    )
  }
  return keyring === undefined || kek === undefined || mac === undefined
    ? undefined
    : { keyring, kek, revision, mac }
}

/** Whether a value can be a revision: a whole number from 1 to 2^53-1. */
function isRevision(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1
}

function readText(table: TomlTable, name: 'keyring' | 'kek' | 'mac', report: Report): string | undefined {
  const path = ['seal', name]
  const value = table[name]
  if (value === undefined) return report(path, 'is missing')
  if (typeof value !== 'string') return report(path, `must be a string, is ${describeToml(value)}`)
  for (const problem of labelProblems(path, value)) report(problem.path, problem.message)
  return value
}
