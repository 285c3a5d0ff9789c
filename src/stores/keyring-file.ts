/**
 * Keyrings in files.
 * @module
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { parseKeyring, type SecretReference } from '../keyring/parse-toml.ts'

/** What a keyring file may refer to. */
export interface KeyringFileOptions {
  /** For `value_env`. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: Date
}

/**
 * Reads a keyring file; `value_file` paths are relative to it.
 * @throws ConfigError `ERR_KEYRING_INVALID` with every issue, the missing file among them
 */
export function loadKeyringFile(path: string, options: KeyringFileOptions): Keyring {
  return parseKeyring(readText(path), { now: options.now, resolve: resolver(path, options.env) })
}

function resolver(path: string, env: KeyringFileOptions['env']): (reference: SecretReference) => Uint8Array {
  return ({ kind, value }) => {
    switch (kind) {
      case 'file':
        return readFileSync(resolve(dirname(path), value))
      case 'env': {
        const text = env[value]
        if (text === undefined) throw new Error('the environment variable is not set')
        return Buffer.from(text)
      }
      case 'sealed':
        throw new Error('sealed values need a key-encryption key, and none is configured')
    }
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const message =
      error instanceof Error && 'code' in error
        ? `it cannot be read (${String(error.code)})`
        : 'it cannot be read'
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path, message }], { cause: error })
  }
}
