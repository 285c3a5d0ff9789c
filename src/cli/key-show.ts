/**
 * `xkeys key show`: one key.
 * @module
 */
import type { Command } from 'commander'
import type { Key } from '../keyring/key.ts'
import { foldGroup } from '../keyring/keyring.ts'
import { SOURCES } from '../keyring/parse-key.ts'
import { parseToml, type TomlTable } from '../toml.ts'
import { EXIT } from './exit.ts'
import { print, printJson } from './io.ts'
import { addKeyWords, findKey, formatRows, keyRow, revealed } from './key-row.ts'
import { noteAudit } from './keyring-change.ts'
import {
  addTargetOptions,
  openKeyring,
  textOf,
  withTarget,
  type KeyringTarget,
  type OpenKeyring,
  type TargetOptions,
} from './keyring-target.ts'

type ShowOptions = TargetOptions & { readonly group: string; readonly reveal?: true; readonly json?: true }

/** Adds the command. */
export function addKeyShowCommand(key: Command): void {
  const command = key
    .command('show')
    .summary('show one key')
    .description(
      'Shows a key: state, fingerprint, times, and where its secret is. The secret itself only with --reveal, which is told in the audit.',
    )
    .option('--reveal', 'print the secret, too')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys key show 2026-q4 --keyring keyrings/demo.toml --group trunk-a')
  addTargetOptions(addKeyWords(command)).action((name: string, options: ShowOptions) =>
    withTarget(options, (target) => showKey(target, name, options)),
  )
}

async function showKey(target: KeyringTarget, name: string, options: ShowOptions): Promise<void> {
  const open = openKeyring(target, await textOf(target))
  const key = findKey(open, { group: options.group, name })
  const group = open.keyring.groups.find((id) => foldGroup(id) === foldGroup(options.group))!
  const row = keyRow(open, group, key, target.now)
  const place = placeOf(open, group, key)
  const told = options.reveal ? await reveal() : {}
  if (told === undefined) return
  if (options.json) return printJson({ ...row, ...place, ...told })
  const { activeFrom, expires, revoked, ...head } = row
  const facts = { ...head, active_from: activeFrom, expires, revoked, ...place, ...told }
  const lines = Object.entries(facts).flatMap(([name, fact]) => (fact === undefined ? [] : [[name, fact]]))
  for (const line of formatRows(lines)) print(line)

  /** Nothing is shown that is not in the audit. */
  async function reveal(): Promise<ReturnType<typeof revealed> | undefined> {
    const { fingerprint } = row
    if (fingerprint === 'unknown') {
      process.stderr.write(`xkeys: the secret of ${JSON.stringify(name)} cannot be fetched from here\n`)
      process.exitCode = EXIT.refused
      return undefined
    }
    await noteAudit(target, { command: 'key show', group, key: name, fingerprint, revealed: true })
    return revealed(key)
  }
}

/** Which setting gives the secret, and of a reference whereto. */
function placeOf({ text, keyring }: OpenKeyring, group: string, key: Key): { readonly source?: string } {
  const document = parseToml(text)
  const groups = (document.ok ? document.value['groups'] : {}) as Record<
    string,
    { keys: readonly TomlTable[] }
  >
  const table = groups[group]?.keys[keyring.keys(group).indexOf(key)] ?? {}
  const setting = SOURCES.find((name) => table[name] !== undefined)
  if (setting === undefined) return {}
  const isReference = setting === 'value_env' || setting === 'value_file'
  return { source: isReference ? `${setting} ${JSON.stringify(table[setting])}` : setting }
}
