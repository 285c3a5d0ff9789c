/**
 * What the commands of a rotation work on: the group, and all that is known of it.
 * @module
 */
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { parseEdgeConfig, type EdgeConfig } from '../edge/config.ts'
import { ConfigError } from '../errors.ts'
import { foldGroup } from '../keyring/keyring.ts'
import { describeRotation, type RotationStatus } from '../keyring/rotation.ts'
import { addWaitOption, type WaitOptions } from './acknowledge.ts'
import { UsageError } from './exit.ts'
import { openKeyring, withTarget, type KeyringTarget } from './keyring-target.ts'
import { nodeFacts, type FleetFacts } from './rotate-fleet.ts'
import { readTextFile } from '../stores/read-text.ts'

/** The options of `addRotationOptions`. */
export interface RotationOptions {
  readonly group: string
  readonly config: string
  readonly kek?: string
  readonly nodes?: readonly string[]
  readonly json?: true
}

/** Adds the options that every command of a rotation takes. */
export function addRotationOptions(command: Command): Command {
  return command
    .requiredOption('--group <id>', 'key group')
    .requiredOption('--config <edge.toml>', 'the configuration: keyring, trunks, state directory')
    .option(
      '--nodes <names>',
      'own nodes that must have reported, with commas between; those with a report count anyway',
      (text: string) => text.split(',').filter((name) => name !== ''),
    )
    .option(
      '--kek <reference>',
      'opens a sealed keyring: file:PATH, env:NAME or command:[…]; default from XKEYS_KEK',
    )
    .option('--json', 'one JSON object')
}

/** The options of a command that takes a step. */
export type StepOptions = RotationOptions & WaitOptions

/** Adds the options that every step of a rotation takes. */
export function addStepOptions(command: Command): Command {
  return addWaitOption(addRotationOptions(command))
}

/** `--force`, where a step may go past what is missing. */
export function addForceOption(command: Command): Command {
  return command.option('--force', 'go past missing evidence; told in the audit')
}

/** Where a group and what is known of it are read from. */
export interface RotationSource<Options extends RotationOptions = RotationOptions> {
  readonly options: Options
  readonly config: EdgeConfig
  readonly target: KeyringTarget
  /** The state directory. */
  readonly directory: string
}

/**
 * Reads the configuration and runs `work` with it and its keyring.
 * @throws ConfigError where it is not right or has no state directory; as `withTarget`; and what `work` throws
 */
export async function withSource<Options extends RotationOptions>(
  options: Options,
  work: (source: RotationSource<Options>) => Promise<void>,
): Promise<void> {
  const config = parseEdgeConfig(readTextFile(options.config, 'ERR_CONFIG_INVALID'))
  if (config.state === undefined) {
    const message = 'it is missing: without a state directory nothing is known of nodes and peers'
    throw new ConfigError('ERR_CONFIG_INVALID', [{ file: options.config, path: 'state', message }])
  }
  const directory = resolve(dirname(options.config), config.state)
  const { kek } = options
  await withTarget({ config: options.config, ...(kek !== undefined && { kek }) }, (target) =>
    work({ options, config, target, directory }),
  )
}

/** A group and what is known of it. */
export interface Rotation {
  readonly status: RotationStatus
  /** Of any key of the group, ended ones too; `undefined`: there is none of that name. */
  readonly fingerprintOf: (key: string) => string | undefined
}

/**
 * Reads reports and confirmations.
 * @param text the keyring
 * @param fleet what its store says of its nodes, where they share it
 * @throws UsageError for a group that is not in the keyring or that no trunk uses; ConfigError where a file is not right
 */
export function readRotation(
  { options, config, target, directory }: RotationSource,
  now: Date,
  text: string,
  fleet: FleetFacts,
): Rotation {
  const { group } = options
  const { keyring, fingerprintOf } = openKeyring(target, text)
  if (!keyring.hasGroup(group)) {
    throw new UsageError(`there is no group ${JSON.stringify(group)} in ${target.path}`)
  }
  const peers = peersOf(config, group)
  if (peers.length === 0) {
    throw new UsageError(`no trunk of ${options.config} uses the group ${JSON.stringify(group)}`)
  }
  const keys = keyring.keys(group)
  const unknown = keys.filter((key) => fingerprintOf(key) === undefined)
  if (unknown.length > 0) {
    const names = unknown.map(({ name }) => name).join(', ')
    const message = `the secret of ${names} cannot be fetched from here, so no report can be compared with it`
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path: target.path, message }])
  }
  const status = describeRotation({
    keyring,
    group,
    now,
    peers,
    ...nodeFacts(directory, config, fleet, options.nodes ?? []),
  })
  return { status, fingerprintOf: (name) => keys.find((key) => key.name === name)?.fingerprint }
}

function peersOf(config: EdgeConfig, group: string): readonly string[] {
  return config.trunks
    .filter(({ agreement }) => foldGroup(agreement.group) === foldGroup(group))
    .map(({ name }) => name)
}
