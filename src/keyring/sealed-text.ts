/**
 * What a sealed keyring says without its KEK: names, dates and the table `[seal]`. None of it is verified.
 * @module
 */
import { ConfigError, type Issue } from '../errors.ts'
import { parseToml, reportTo } from '../toml.ts'
import { foldGroup, groupProblems } from './keyring.ts'
import { readKey, reportUnknown } from './parse-key.ts'
import { readGroups } from './parse-toml.ts'
import { readSealTable } from './seal-table.ts'
import type { RevocableKey, Revocations } from './tombstones.ts'

/** What stands in clear in a sealed keyring. */
export interface SealedText extends Revocations {
  /** The name that it is sealed under. */
  readonly name: string
  readonly revision: number
}

/**
 * Reads a sealed keyring without opening it. A text with any secret that is not sealed is refused.
 * @throws ConfigError `ERR_KEYRING_INVALID` with every issue, its path and line. No issue holds a secret.
 */
export function readSealedText(toml: string): SealedText {
  const document = parseToml(toml)
  if (!document.ok) throw new ConfigError('ERR_KEYRING_INVALID', document.issues)
  const issues: Issue[] = []
  const report = reportTo(issues, document.lineOf)
  reportUnknown(document.value, ['groups', 'seal'], [], report)
  const table = document.value['seal']
  const seal =
    table === undefined
      ? report(['seal'], 'is missing: the keyring is not sealed, and only a sealed one may leave this host')
      : readSealTable(table, report)
  const groups = readGroups(document.value, report).map(({ id, tables }) => ({
    id,
    keys: tables.map((key, i) => readKey(key, ['groups', id, 'keys', i], SHUT, report)),
  }))
  for (const { path, message } of groupProblems(groups, ANY_NUMBER)) report(path, message)
  if (issues.length > 0 || seal === undefined) throw new ConfigError('ERR_KEYRING_INVALID', issues)
  const keys = new Map(
    groups.map(({ id, keys }) => [
      foldGroup(id),
      keys.map(({ name = '', revoked }): RevocableKey => ({ name, revoked })),
    ]),
  )
  return {
    name: seal.keyring,
    revision: seal.revision,
    groups: groups.map(({ id }) => id),
    keys: (group) => keys.get(foldGroup(group)) ?? [],
  }
}

/** How many keys may verify at once is the question of who uses them. */
const ANY_NUMBER = { maxKeysPerGroup: Number.MAX_SAFE_INTEGER }

/** Nothing is opened, so any secret but an empty one will do. */
const SHUT = {
  resolve: undefined,
  open: () => Uint8Array.of(0),
  refuse: (source: string) => (source === 'sealed' ? undefined : 'is not sealed, and every secret must be'),
}
