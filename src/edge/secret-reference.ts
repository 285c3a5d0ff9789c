/**
 * Secrets of `edge.toml`, which holds none: where they are, and reading them.
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { codeOf } from '../errors.ts'

/** Where a secret is kept. */
export interface SecretReference {
  readonly kind: 'env' | 'file'
  /** Name of the variable, or path as written. */
  readonly name: string
}

/** `env:NAME` or `file:PATH`; a message where it is none, which does not repeat it: it may be the secret itself. */
export function parseSecretReference(text: string): SecretReference | string {
  const [, kind, name = ''] = /^(env|file):(.+)$/.exec(text) ?? []
  if (kind === 'env' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return { kind, name }
  if (kind === 'file' && !name.includes('\0')) return { kind, name }
  return 'it must be env:NAME or file:PATH: no secret stands in this file'
}

/** Where secrets are looked up. */
export interface SecretPlaces {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where relative paths start. */
  readonly folder: string
}

/** A secret, or what is wrong with it. */
export type SecretResult =
  | { readonly ok: true; readonly secret: string }
  | { readonly ok: false; readonly message: string }

const fault = (message: string): SecretResult => ({ ok: false, message })

/** Reads a secret; a line end behind it in a file is not part of it. */
export function readSecret({ kind, name }: SecretReference, { env, folder }: SecretPlaces): SecretResult {
  if (kind === 'env') {
    const secret = env[name] ?? ''
    return secret === ''
      ? fault(`the environment variable ${name} is not set, or empty`)
      : { ok: true, secret }
  }
  try {
    const secret = readFileSync(resolve(folder, name), 'utf8').replace(/\r?\n$/, '')
    return secret === '' ? fault(`the file ${JSON.stringify(name)} is empty`) : { ok: true, secret }
  } catch (error) {
    return fault(`the file ${JSON.stringify(name)} cannot be read (${codeOf(error, 'unknown')})`)
  }
}
