/**
 * The keyring that a command works on: which file, how its secrets are got at.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { parseEdgeConfig } from '../edge/config.ts'
import { openConfigKek } from '../edge/config-kek.ts'
import type { RedisConfig } from '../edge/config-redis.ts'
import type { Key } from '../keyring/key.ts'
import type { KeyringStore } from '../keyring/keyring-store.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { parseKeyring, type SecretReference } from '../keyring/parse-toml.ts'
import type { KekSource } from '../keyring/seal.ts'
import { openKek, parseKekReference } from '../stores/kek.ts'
import { UsageError } from './exit.ts'
import { addNameOption, placeOfOptions, readStored, withStore, type StoreOptions } from './shared-store.ts'
import { readTextFile } from '../stores/read-text.ts'

/** The options of `addTargetOptions`. */
export interface TargetOptions extends StoreOptions {
  readonly config?: string
  readonly kek?: string
}

/** A keyring, and what reading it takes. */
export interface KeyringTarget {
  /** As the reader gave it, or as the configuration has it; of a shared one its store. */
  readonly path: string
  /** What `value_file` is relative to. */
  readonly directory: string
  /** Where the keyring is, when nodes share it; absent of one in a file. */
  readonly store?: KeyringStore
  readonly now: Date
  /** Opens it where it is sealed. */
  readonly kek: KekSource | undefined
  /** Fetches `value_env` and `value_file`. */
  readonly resolve: (reference: SecretReference) => Uint8Array
}

/** Adds the options that name a keyring. */
export function addTargetOptions(command: Command): Command {
  return addNameOption(
    command.option('--keyring <file>', 'keyring in TOML; or redis://host:6379/0, where nodes share one'),
  )
    .option('--config <edge.toml>', 'the keyring of an edge configuration')
    .option(
      '--kek <reference>',
      'opens a sealed keyring: file:PATH, env:NAME or command:[…]; default: that of --config, or of XKEYS_KEK',
    )
}

/**
 * Runs `work` with the keyring that the options name. Warns where every user of the machine may read it.
 * @throws UsageError where none or two are named; ConfigError where the configuration is not right, or the store of a
 *   shared keyring cannot be reached; and what `work` throws
 */
export async function withTarget<T>(
  options: TargetOptions,
  work: (target: KeyringTarget) => T | Promise<T>,
): Promise<T> {
  const { place, directory, kek } = placeOf(options)
  if (typeof place !== 'string') {
    return withStore(place, directory, async (store) =>
      work({ path: store.place, directory, store, now: new Date(), kek, resolve: fetcherOf(directory) }),
    )
  }
  warnOfMode(place)
  const around = dirname(place)
  return work({ path: place, directory: around, now: new Date(), kek, resolve: fetcherOf(around) })
}

/**
 * The text of a keyring.
 * @throws ConfigError where it cannot be read, or a store has none
 */
export async function textOf({ store, path }: Pick<KeyringTarget, 'store' | 'path'>): Promise<string> {
  return store === undefined ? readTextFile(path, 'ERR_KEYRING_INVALID') : (await readStored(store)).text
}

/** Warns where every user of the machine may read a file with secrets. */
export function warnOfMode(path: string): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
  if ((mode & 0o007) === 0) return
  const shown = (mode & 0o777).toString(8).padStart(4, '0')
  warn(`${path}: mode ${shown}: every user of this machine can read its secrets, so make it 0600`)
}

/** One line on standard error. */
export function warn(text: string): void {
  process.stderr.write(`xkeys: warning: ${text}\n`)
}

/** A keyring as a command sees it. */
export interface OpenKeyring {
  readonly text: string
  readonly keyring: Keyring
  /** `undefined`: its secret cannot be fetched from here, so it is not known. */
  readonly fingerprintOf: (key: Key) => string | undefined
}

/**
 * Reads the keyring. Secrets kept elsewhere need not be within reach: whoever ends a key in a hurry may not have the
 * service's environment.
 * @throws ConfigError `ERR_KEYRING_INVALID`
 */
export function openKeyring(target: KeyringTarget, text: string): OpenKeyring {
  const { resolve, isKnown } = fetchLeniently(target)
  const { now, kek } = target
  const keyring = parseKeyring(text, { now, kek, resolve })
  return { text, keyring, fingerprintOf: (key) => (isKnown(key) ? key.fingerprint : undefined) }
}

/** Fetches secrets; for one out of reach another stands in, and is known as such. */
function fetchLeniently(target: KeyringTarget): {
  readonly resolve: KeyringTarget['resolve']
  readonly isKnown: (key: Key) => boolean
} {
  const standIns = new Set<string>()
  return {
    resolve: (reference) => {
      try {
        const secret = target.resolve(reference)
        if (secret.length > 0) return secret
      } catch {
        // Out of reach.
      }
      const standIn = randomBytes(32)
      standIns.add(standIn.toString('hex'))
      return standIn
    },
    isKnown: (key) => !standIns.has(key.secret.export().toString('hex')),
  }
}

/** A keyring as the options name it. */
interface NamedKeyring {
  /** The path of a file, or a store. */
  readonly place: string | RedisConfig
  /** What paths around it are relative to. */
  readonly directory: string
  readonly kek: KekSource | undefined
}

/** The KEK is that of `--kek`, of the configuration, or of the environment, and is fetched when it is needed. */
function placeOf(options: TargetOptions): NamedKeyring {
  const { keyring, config, kek } = options
  const shared = placeOfOptions(options)
  if (keyring !== undefined && config === undefined)
    return { place: shared ?? keyring, directory: '.', kek: commandKek(kek, shared) }
  if (keyring !== undefined || config === undefined) throw new UsageError('give --keyring or --config')
  const edge = parseEdgeConfig(readTextFile(config, 'ERR_KEYRING_INVALID'))
  const directory = dirname(config)
  const place = typeof edge.keyring === 'string' ? resolve(directory, edge.keyring) : edge.keyring
  const own = kek === undefined && edge.kek && openConfigKek(edge.kek, process.env, directory)
  return { place, directory, kek: own || commandKek(kek, typeof place === 'string' ? undefined : place) }
}

/**
 * The KEK of `--kek`, or of the environment; fetched when a sealed keyring asks for it.
 * @param shared the shared keyring that it is for: no other, and none in plaintext, is opened
 */
export function commandKek(kek: string | undefined, shared?: RedisConfig): KekSource | undefined {
  return kekOf('--kek', kek, shared) ?? kekOf('XKEYS_KEK', process.env['XKEYS_KEK'], shared)
}

function kekOf(
  name: string,
  text: string | undefined,
  shared: RedisConfig | undefined,
): KekSource | undefined {
  if (text === undefined) return undefined
  const reference = parseKekReference(text)
  // The text itself is not shown: somebody may have put the key there.
  if (typeof reference === 'string') throw new UsageError(`${name}: ${reference}`)
  return openKek(reference, {
    env: process.env,
    ...(shared && { keyring: shared.name, plaintext: 'refused' }),
  })
}

/** As the edge fetches them: `value_file` is relative to the keyring's folder. */
function fetcherOf(directory: string): KeyringTarget['resolve'] {
  return ({ kind, value }) => {
    switch (kind) {
      case 'file':
        return readFileSync(resolve(directory, value))
      case 'env': {
        const text = process.env[value]
        if (text === undefined) throw new Error('the environment variable is not set')
        return Buffer.from(text)
      }
      case 'sealed':
        throw new Error('it is sealed, and the keyring has no table [seal]')
    }
  }
}
