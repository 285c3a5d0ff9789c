/**
 * The key-encryption key from where it is kept: a file, an environment variable, or a command. What it reads, and what a
 * command prints, is never part of a message; nor is the reference itself, since somebody may put the key there.
 * @module
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { createKek, KEK_BYTES, type Kek, type KekSource } from '../keyring/seal-crypto.ts'
import { codeOf } from '../errors.ts'
import { runCommand, runCommandLater, type Command, type CommandOptions } from './kek-command.ts'

/** Where a KEK is kept. */
export type KekReference =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'command'; readonly command: Command }

/** What fetching a KEK may use. */
export interface FetchKekOptions {
  /** For `env`, and the environment of a command. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** What a file's path is relative to, and where a command runs; default: the working directory. */
  readonly directory?: string | undefined
  /** How long a command may take, in milliseconds, default 10 000; then it is killed. */
  readonly timeoutMs?: number | undefined
}

/** A source of the KEK that outlives it: fetched when first asked for, kept, and fetched again when another is needed. */
export interface KekHolder extends KekSource {
  /**
   * Fetches again, without blocking, where a KEK was asked for that is not at hand; whether another one is at hand now.
   * The one before stays known. Never rejects.
   */
  refetch(): Promise<boolean>
}

/** Default of `timeoutMs`. */
export const KEK_TIMEOUT_MS = 10_000

/** More than this is no KEK in any form. */
const MAX_OUTPUT = 1024

/**
 * Reads `file:PATH`, `env:NAME` or `command:["program","argument",…]`; of anything else, what is wrong with it.
 */
export function parseKekReference(text: string): KekReference | string {
  const [, kind, rest = ''] = /^(file|env|command):([^]+)$/.exec(text) ?? []
  if (kind === 'file') return { kind, path: rest }
  if (kind === 'env') return { kind, name: rest }
  if (kind !== 'command') return 'it must be file:PATH, env:NAME or command:["program","argument"]'
  const command = parseCommand(rest)
  return command === undefined
    ? 'behind command: there must be a JSON array of texts, the program first'
    : { kind, command }
}

/**
 * Fetches a KEK and waits for it.
 * @throws Error that says what is wrong, without the reference and anything that was read
 */
export function fetchKek(reference: KekReference, options: FetchKekOptions): Kek {
  const bytes = read(reference, options)
  try {
    return kekOf(bytes)
  } finally {
    bytes.fill(0)
  }
}

/** Opens a source. Nothing is fetched before a KEK is asked for. */
export function openKek(
  reference: KekReference,
  options: FetchKekOptions & Pick<KekSource, 'keyring' | 'plaintext'>,
): KekHolder {
  let keks: readonly Kek[] = []
  let missed = false
  let fetching: Promise<boolean> | undefined

  async function fetchAgain(): Promise<boolean> {
    try {
      const kek = await fetchKekLater(reference, options)
      if (keks.some(({ id }) => id === kek.id)) return false
      // The one before may be needed for as long as files of both are about.
      keks = [kek, ...keks.slice(0, 1)]
      return true
    } catch {
      return false
    } finally {
      fetching = undefined
      missed = false
    }
  }

  return {
    keyring: options.keyring,
    plaintext: options.plaintext,
    find: (id) => {
      if (keks.length === 0) keks = [fetchKek(reference, options)]
      const found = keks.find((kek) => kek.id === id)
      missed ||= found === undefined
      return found
    },
    refetch: () => {
      if (!missed) return Promise.resolve(false)
      return (fetching ??= fetchAgain())
    },
  }
}

async function fetchKekLater(reference: KekReference, options: FetchKekOptions): Promise<Kek> {
  if (reference.kind !== 'command') return fetchKek(reference, options)
  const bytes = await runCommandLater(reference.command, commandOptions(options))
  try {
    return kekOf(bytes)
  } finally {
    bytes.fill(0)
  }
}

function parseCommand(json: string): Command | undefined {
  try {
    const words: unknown = JSON.parse(json)
    if (!Array.isArray(words) || !words.every((word): word is string => typeof word === 'string'))
      return undefined
    const [program, ...args] = words
    return program === undefined || program === '' ? undefined : [program, ...args]
  } catch {
    return undefined
  }
}

function read(reference: KekReference, options: FetchKekOptions): Buffer {
  switch (reference.kind) {
    case 'file':
      return readFile(resolve(options.directory ?? '.', reference.path))
    case 'env': {
      const text = options.env[reference.name]
      if (text === undefined) throw new Error('the environment variable is not set')
      return Buffer.from(text)
    }
    case 'command':
      return runCommand(reference.command, commandOptions(options))
  }
}

function commandOptions({ env, directory, timeoutMs = KEK_TIMEOUT_MS }: FetchKekOptions): CommandOptions {
  return { env, directory, timeoutMs, maxBytes: MAX_OUTPUT }
}

function readFile(path: string): Buffer {
  let code: string
  try {
    const file = openSync(path, 'r')
    try {
      return readStart(file)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    code = codeOf(error)
  }
  throw new Error(`the file cannot be read (${code})`)
}

/** A little more than a KEK can be, so that more is noticed: the path may lead to a device without end. */
function readStart(file: number): Buffer {
  const bytes = Buffer.alloc(MAX_OUTPUT + 1)
  let length = 0
  for (let n = 1; n > 0 && length < bytes.length; length += n) {
    n = readSync(file, bytes, length, bytes.length - length, null)
  }
  return bytes.subarray(0, length)
}

/**
 * Exactly 32 bytes are the KEK; anything else must be a text that stands for 32 bytes, with or without a newline.
 * 32 hexadecimal digits are 16 bytes written out: never meant as they are.
 */
function kekOf(bytes: Buffer): Kek {
  if (bytes.length === KEK_BYTES && !bytes.every(isHexDigit)) return createKek(bytes)
  const decoded = decode(bytes.toString('latin1').replace(/\r?\n$/, ''))
  try {
    if (decoded?.length === KEK_BYTES) return createKek(decoded)
    const read = bytes.length > MAX_OUTPUT ? `more than ${MAX_OUTPUT}` : String(bytes.length)
    const forms = 'as they are, as 64 hexadecimal digits or as base64'
    throw new Error(`it must be exactly ${KEK_BYTES} bytes, ${forms}; ${read} bytes were read`)
  } finally {
    decoded?.fill(0)
  }
}

function isHexDigit(byte: number): boolean {
  return /[0-9A-Fa-f]/.test(String.fromCharCode(byte))
}

function decode(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  for (const encoding of ['base64', 'base64url'] as const) {
    const bytes = Buffer.from(text, encoding)
    if (withoutPadding(bytes.toString(encoding)) === withoutPadding(text)) return bytes
  }
  return undefined
}

/** 32 bytes have one sign of it, which some leave out. */
function withoutPadding(base64: string): string {
  return base64.replace(/=$/, '')
}
