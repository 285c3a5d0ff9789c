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
import { codeOf, ConfigError } from '../errors.ts'
import type { Key } from '../keyring/key.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { parseKeyring, type SecretReference } from '../keyring/parse-toml.ts'
import type { KekSource } from '../keyring/seal.ts'
import { openKek, parseKekReference } from '../stores/kek.ts'
import { UsageError } from './exit.ts'

/** The options of `addTargetOptions`. */
export interface TargetOptions {
  readonly keyring?: string
  readonly config?: string
  readonly kek?: string
}

/** A keyring file, and what reading it takes. */
export interface KeyringTarget {
  /** As the reader gave it, or as the configuration has it. */
  readonly path: string
  readonly now: Date
  /** Opens it where it is sealed. */
  readonly kek: KekSource | undefined
  /** Fetches `value_env` and `value_file`. */
  readonly resolve: (reference: SecretReference) => Uint8Array
}

/** Adds the options that name a keyring. */
export function addTargetOptions(command: Command): Command {
  return command
    .option('--keyring <file>', 'keyring in TOML')
    .option('--config <edge.toml>', 'the keyring of an edge configuration')
    .option(
      '--kek <reference>',
      'opens a sealed keyring: file:PATH, env:NAME or command:[…]; default: that of --config, or of XKEYS_KEK',
    )
}

/**
 * The keyring that the options name. Warns where every user of the machine may read it.
 * @throws UsageError where none or two are named; ConfigError where the configuration is not right
 */
export function readTarget(options: TargetOptions): KeyringTarget {
  const { path, kek } = placeOf(options)
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
  if ((mode & 0o007) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0')
    warn(`${path}: mode ${shown}: every user of this machine can read its secrets, so make it 0600`)
  }
  return { path, now: new Date(), kek, resolve: fetcherOf(path) }
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
export function openKeyring(target: KeyringTarget, text: string = readText(target.path)): OpenKeyring {
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

/** The KEK is that of `--kek`, of the configuration, or of the environment, and is fetched when it is needed. */
function placeOf({ keyring, config, kek }: TargetOptions): Pick<KeyringTarget, 'path' | 'kek'> {
  const fallback = commandKek(kek)
  if (keyring !== undefined && config === undefined) return { path: keyring, kek: fallback }
  if (keyring !== undefined || config === undefined) throw new UsageError('give --keyring or --config')
  const edge = parseEdgeConfig(readText(config))
  const own = kek === undefined && edge.kek && openConfigKek(edge.kek, process.env, dirname(config))
  return { path: resolve(dirname(config), edge.keyring), kek: own || fallback }
}

/** The KEK of `--kek`, or of the environment; fetched when a sealed keyring asks for it. */
export function commandKek(kek: string | undefined): KekSource | undefined {
  return kekOf('--kek', kek) ?? kekOf('XKEYS_KEK', process.env['XKEYS_KEK'])
}

function kekOf(name: string, text: string | undefined): KekSource | undefined {
  if (text === undefined) return undefined
  const reference = parseKekReference(text)
  // The text itself is not shown: somebody may have put the key there.
  if (typeof reference === 'string') throw new UsageError(`${name}: ${reference}`)
  return openKek(reference, { env: process.env })
}

/** As the edge fetches them: `value_file` is relative to the keyring. */
function fetcherOf(path: string): KeyringTarget['resolve'] {
  return ({ kind, value }) => {
    switch (kind) {
      case 'file':
        return readFileSync(resolve(dirname(path), value))
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

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = codeOf(error, 'unreadable')
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path, message: `it cannot be read (${code})` }], {
      cause: error,
    })
  }
}
