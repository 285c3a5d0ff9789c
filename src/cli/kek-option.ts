/**
 * `--kek`: the key-encryption key that a command seals and opens with.
 * @module
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseEdgeConfig } from '../edge/config.ts'
import type { KekConfig } from '../edge/config-kek.ts'
import { ConfigError } from '../errors.ts'
import { kekSourceOf, type Kek, type KekSource } from '../keyring/seal.ts'
import { fetchKek, parseKekReference, type FetchKekOptions, type KekReference } from '../stores/kek.ts'
import { UsageError } from './exit.ts'
import { warn } from './keyring-target.ts'

/** The options that say where the KEK is. */
export interface KekOptions {
  readonly kek?: string
  readonly config?: string
}

/** A KEK, and the name that a configuration wants its keyring sealed under. */
export interface GivenKek {
  readonly kek: Kek
  readonly sealedAs: string | undefined
}

/**
 * Fetches the KEK that `--kek` names, or the table `[kek]` of `--config`, or the environment variable `XKEYS_KEK`, in
 * this order.
 * @throws UsageError where none does; ConfigError where it cannot be fetched
 */
export function readKek(options: KekOptions): GivenKek {
  if (options.kek !== undefined) return { kek: fetchOption('--kek', options.kek), sealedAs: undefined }
  const table = options.config === undefined ? undefined : kekOfConfig(options.config)
  if (table !== undefined && options.config !== undefined) {
    const { reference, timeoutMs, keyring } = table
    const directory = dirname(options.config)
    return {
      kek: fetchFrom('[kek] from', reference, { env: process.env, directory, timeoutMs }),
      sealedAs: keyring,
    }
  }
  const text = process.env['XKEYS_KEK']
  if (text === undefined) {
    throw new UsageError('give the key-encryption key: --kek, XKEYS_KEK, or --config with a table [kek]')
  }
  return { kek: fetchOption('XKEYS_KEK', text), sealedAs: undefined }
}

/** A source for what may be sealed with an older KEK, named by `--old-kek`, or with the one given. */
export function sourceOf(kek: Kek, old: string | undefined): KekSource {
  return old === undefined ? kekSourceOf(kek) : kekSourceOf(kek, fetchOption('--old-kek', old))
}

function fetchOption(name: string, text: string): Kek {
  const reference = parseKekReference(text)
  // The text itself is not shown: somebody may have put the key there.
  if (typeof reference === 'string') throw new UsageError(`${name}: ${reference}`)
  return fetchFrom(name, reference, { env: process.env })
}

function fetchFrom(path: string, reference: KekReference, options: FetchKekOptions): Kek {
  if (reference.kind === 'file') warnOfMode(path, resolve(options.directory ?? '.', reference.path))
  try {
    return fetchKek(reference, options)
  } catch (error) {
    const message = error instanceof Error ? error.message : 'unknown error'
    throw new ConfigError('ERR_CONFIG_INVALID', [{ path, message }])
  }
}

function warnOfMode(option: string, path: string): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
  if ((mode & 0o007) !== 0)
    warn(`${option}: every user of this machine can read the key-encryption key, so make its file 0600`)
}

function kekOfConfig(path: string): KekConfig | undefined {
  return parseEdgeConfig(readFileSync(path, 'utf8')).kek
}
