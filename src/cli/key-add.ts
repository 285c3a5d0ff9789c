/**
 * `xkeys key add`: a new key in a keyring.
 * @module
 */
import { isAbsolute, relative } from 'node:path'
import { Option, type Command } from 'commander'
import { appendKey, tomlDate, tomlString, type KeySetting, type NewKey } from '../keyring/edit-toml.ts'
import { secretSetting } from '../keyring/format-toml.ts'
import { generateSecret } from '../keyring/generate.ts'
import { foldGroup } from '../keyring/keyring.ts'
import { lintKeyring } from '../keyring/lint.ts'
import { HELD_FROM } from '../keyring/rotation-state.ts'
import { acknowledge, addWaitOption, type WaitOptions } from './acknowledge.ts'
import { UsageError } from './exit.ts'
import { dateOption, print, printJson, readInput } from './io.ts'
import { keyRow, revealed } from './key-row.ts'
import { changeKeyring } from './keyring-change.ts'
import {
  addTargetOptions,
  openKeyring,
  warn,
  withTarget,
  type KeyringTarget,
  type OpenKeyring,
  type TargetOptions,
} from './keyring-target.ts'

interface AddOptions extends TargetOptions, WaitOptions {
  readonly group: string
  readonly name?: string
  readonly activeFrom?: Date | 'now'
  readonly expires?: Date
  readonly valueEnv?: string
  readonly valueFile?: string
  readonly valueStdin?: true
  readonly reveal?: true
  readonly json?: true
}

/** Adds the command. */
export function addKeyAddCommand(key: Command): void {
  const command = key
    .command('add')
    .summary('add a key to a group')
    .description(
      'Adds a key with a new secret, which goes into the file and is not shown. Where its group has a key that signs, the new one verifies at once and is held: it signs from --active-from on, or once a rotation promotes it.',
    )
    .requiredOption('--group <id>', 'key group; one that is not there is made')
    .option('--name <name>', 'name of the key; default: the date, as in 2026-11-21')
    .option('--active-from <date>', 'signs from then on: now, or as 2026-12-01T00:00:00Z', activeFromOption)
    .option('--expires <date>', 'neither signs nor verifies from then on', dateOption)
    .addOption(
      new Option('--value-env <name>', 'the secret is in this environment variable').conflicts([
        'valueFile',
        'valueStdin',
      ]),
    )
    .addOption(
      new Option('--value-file <path>', 'the secret is in this file, and stays there').conflicts(
        'valueStdin',
      ),
    )
    .option('--value-stdin', 'read the secret from standard input; one newline at its end is cut')
    .option('--reveal', 'print the secret; told in the audit')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  xkeys key add --keyring keyrings/demo.toml --group trunk-a --active-from 2027-01-01T00:00:00Z',
    )
  addWaitOption(addTargetOptions(command)).action((options: AddOptions) =>
    withTarget(options, (target) => addKey(target, options)),
  )
}

async function addKey(target: KeyringTarget, options: AddOptions): Promise<void> {
  const { now } = target
  if (options.expires !== undefined && options.expires <= now) throw new UsageError('--expires is past')
  const source = sourceOf(target, options)
  let added = { group: options.group, name: '' }
  let settings: readonly KeySetting[] = []
  const text = await changeKeyring(target, {
    audit: () => ({
      command: 'key add',
      group: added.group,
      key: added.name,
      fingerprint: fingerprintOf(target, { name: added.name, settings }),
      ...Object.fromEntries(settings.filter(([name]) => name !== source[0])),
      source: source[0],
      ...(options.reveal && { revealed: true }),
    }),
    change: (before) => {
      const open = openKeyring(target, before)
      const group =
        open.keyring.groups.find((id) => foldGroup(id) === foldGroup(options.group)) ?? options.group
      added = { group, name: options.name ?? freeName(open, group, now) }
      settings = [source, ...timesOf(open, options, now)]
      return appendKey(before, group, { name: added.name, settings })
    },
  })
  await report(target, openKeyring(target, text), added, options)
}

async function report(
  target: KeyringTarget,
  open: OpenKeyring,
  added: { group: string; name: string },
  options: AddOptions,
): Promise<void> {
  const { group, name } = added
  const key = open.keyring.keys(group).find((one) => one.name === name)!
  const row = keyRow(open, group, key, target.now)
  for (const issue of lintKeyring(open.keyring)) {
    if (issue.group === group && issue.name === name && row.fingerprint !== 'unknown')
      warn(`${issue.path}: ${issue.message}`)
  }
  if (row.fingerprint === 'unknown')
    warn(`the secret of ${JSON.stringify(name)} cannot be fetched from here: not checked`)
  if (!options.json) {
    print(`added key ${name} to group ${group}: ${row.state}, fingerprint ${row.fingerprint}`)
    if (options.reveal) print(Object.values(revealed(key)).join())
  }
  const acknowledgement = await acknowledge(target, open.text, options)
  if (options.json)
    printJson({ ...row, ...(options.reveal && revealed(key)), ...(acknowledgement && { acknowledgement }) })
}

/** Where a key signs already, a new one must not take its place before the other end has it. */
function timesOf({ keyring }: OpenKeyring, options: AddOptions, now: Date): readonly KeySetting[] {
  const { activeFrom, expires } = options
  const held = keyring.activeKey(options.group, now) === undefined ? undefined : HELD_FROM
  if (expires !== undefined && activeFrom === undefined && held !== undefined) {
    throw new UsageError(
      '--expires needs --active-from here: a key that is held until its promotion has no end',
    )
  }
  const from = activeFrom === 'now' ? wholeSecond(now) : (activeFrom ?? held)
  return [
    ...(from === undefined ? [] : [['active_from', tomlDate(from)] as const]),
    ...(expires === undefined ? [] : [['expires', tomlDate(expires)] as const]),
  ]
}

/** The date, and a number behind it where the group has that name. */
function freeName({ keyring }: OpenKeyring, group: string, now: Date): string {
  const names = new Set(keyring.keys(group).map((key) => key.name))
  const date = now.toISOString().slice(0, 10)
  let name = date
  for (let i = 2; names.has(name); i++) name = `${date}-${i}`
  return name
}

function sourceOf({ directory }: KeyringTarget, options: AddOptions): KeySetting {
  const { valueEnv, valueFile } = options
  if (valueEnv !== undefined) return ['value_env', tomlString(valueEnv)]
  if (valueFile !== undefined) {
    // In the keyring it is relative to the keyring.
    return ['value_file', tomlString(isAbsolute(valueFile) ? valueFile : relative(directory, valueFile))]
  }
  if (options.valueStdin === undefined) return ['value', tomlString(generateSecret())]
  return secretSetting(withoutNewline(readInput('-')))
}

function withoutNewline(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1)
}

/** Of a keyring with this key alone: in one that is sealed it may not stand as it is. */
function fingerprintOf(target: KeyringTarget, key: NewKey): string {
  const open = openKeyring({ ...target, kek: undefined }, appendKey('', 'new', key))
  return open.fingerprintOf(open.keyring.keys('new')[0]!) ?? 'unknown'
}

function activeFromOption(text: string): Date | 'now' {
  return text === 'now' ? 'now' : dateOption(text)
}

function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000)
}
