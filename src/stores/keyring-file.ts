/**
 * Keyrings in files: read once, or kept in step with the file while the process runs.
 * @module
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync, type Stats } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { codeOf, ConfigError, type Issue } from '../errors.ts'
import type { Keyring, KeyringSource } from '../keyring/keyring.ts'
import { parseKeyring, type SecretReference } from '../keyring/parse-toml.ts'
import type { KekSource } from '../keyring/seal.ts'
import { isSameContents, watchFiles, type Contents } from './keyring-watch.ts'

/** What a keyring file may refer to. */
export interface KeyringFileOptions {
  /** For `value_env`. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: Date
  /** For a sealed keyring. */
  readonly kek?: KekSource | undefined
}

/**
 * Reads a keyring file; `value_file` paths are relative to it.
 * @throws ConfigError `ERR_KEYRING_INVALID` with every issue, the missing file among them
 */
export function loadKeyringFile(path: string, options: KeyringFileOptions): Keyring {
  const { result } = readKeyring(path, options, readFileSync)
  if (result instanceof ConfigError) throw result
  return result
}

/** What a live keyring needs, and whom it tells. */
export interface LiveKeyringOptions extends Omit<KeyringFileOptions, 'now'> {
  readonly now: () => Date
  /** For a sealed keyring; where it lacks the KEK of a new file it may fetch again, and the file is read once more. */
  readonly kek?: (KekSource & { readonly refetch?: () => Promise<boolean> }) | undefined
  /** What else speaks against a keyring; empty: nothing. Asked before it comes into force, at the start too. */
  readonly check?: (keyring: Keyring) => readonly Issue[]
  /** A keyring came into force after the first one; `same`: it was read anew and is what it was. */
  readonly onLoaded: (keyring: Keyring, change: 'changed' | 'same') => void
  /** The file cannot be used. The keyring that is in force stays. */
  readonly onFailed: (error: ConfigError) => void
}

/** How it stands with a live keyring. */
export interface LiveKeyringStatus {
  /** The file as it is now cannot be used: an older keyring is in force. */
  readonly failing: boolean
  /** When the file was last read and found right. */
  readonly loadedAt: Date
  /** Since the start, the first one not among them. */
  readonly reloads: { readonly ok: number; readonly failed: number }
}

/** A keyring that follows its file. */
export interface LiveKeyring {
  /** The keyring in force: always a whole one that was found right. */
  readonly keyring: KeyringSource
  /** Reads the file now, whether it looks changed or not. */
  reload(): void
  close(): void
  status(): LiveKeyringStatus
}

/**
 * Opens a keyring that follows its file and the files of its `value_file`s: see keyring-watch.ts for how changes are
 * noticed. A file that cannot be used never replaces a keyring: it is told once, and the next change is looked at.
 * @throws ConfigError where the file cannot be used at the start
 */
export function openKeyringFile(path: string, options: LiveKeyringOptions): LiveKeyring {
  const { now, check, kek, onLoaded, onFailed } = options
  const read = (): KeyringRead => {
    const found = readKeyring(path, { ...options, now: now() }, readRegular)
    if (found.result instanceof ConfigError) return found
    const issues = check?.(found.result) ?? []
    return issues.length === 0 ? found : { ...found, result: new ConfigError('ERR_KEYRING_INVALID', issues) }
  }
  let last = read()
  if (last.result instanceof ConfigError) throw last.result
  let inForce = last.result
  let contentsInForce = last.contents
  let loadedAt = now()
  let failing = false
  let closed = false
  const reloads = { ok: 0, failed: 0 }

  function take(found: KeyringRead): void {
    last = found
    if (found.result instanceof ConfigError) {
      failing = true
      reloads.failed++
      onFailed(found.result)
      void fetchKekAgain()
      return
    }
    failing = false
    reloads.ok++
    loadedAt = now()
    // Who has bound the keys need not bind them again.
    if (isSameContents(found.contents, contentsInForce)) return onLoaded(inForce, 'same')
    inForce = found.result
    contentsInForce = found.contents
    onLoaded(inForce, 'changed')
  }

  /** The file may have been sealed under a KEK that came after the start. */
  async function fetchKekAgain(): Promise<void> {
    if ((await kek?.refetch?.()) === true && !closed) take(read())
  }

  const watch = watchFiles({
    known: () => last.contents,
    digest: digestLater,
    onChange: (settled) => {
      const found = read()
      // Being written again at this moment.
      if ([...found.contents].some(([file, digest]) => (settled.get(file) ?? digest) !== digest)) return
      // Touched, or written anew as it was.
      if (!isSameContents(found.contents, last.contents)) take(found)
    },
  })
  return {
    keyring: () => inForce,
    reload: () => take(read()),
    close: () => {
      closed = true
      watch.close()
    },
    status: () => ({ failing, loadedAt, reloads: { ...reloads } }),
  }
}

/** What was found, and what it was made of. */
interface KeyringRead {
  readonly result: Keyring | ConfigError
  /** The file itself, and what it refers to. */
  readonly contents: Contents
}

function readKeyring(
  path: string,
  { env, now, kek }: KeyringFileOptions,
  readBytes: (file: string) => Buffer,
): KeyringRead {
  const contents = new Map<string, string>()
  const read = (file: string): Buffer => {
    try {
      const bytes = readBytes(file)
      contents.set(file, digestOf(bytes))
      return bytes
    } catch (error) {
      contents.set(file, digestOf(error))
      throw error
    }
  }
  const parse = (): Keyring | ConfigError => {
    try {
      const text = readText(path, read)
      return parseKeyring(text, { now, kek, resolve: resolver(path, env, read) })
    } catch (error) {
      if (error instanceof ConfigError) return error
      // Nothing that is in a file may end the process.
      const message = 'cannot be read because of a bug'
      return new ConfigError('ERR_KEYRING_INVALID', [{ path, message }], { cause: error })
    }
  }
  return { result: parse(), contents }
}

/** What stands for the code of an error that has none. */
const UNREADABLE = 'unreadable'

/** The digest of a file, without holding up the process. */
async function digestLater(file: string): Promise<string> {
  try {
    mustBeRegular(await stat(file))
    const bytes = await readFile(file)
    const digest = digestOf(bytes)
    bytes.fill(0)
    return digest
  } catch (error) {
    return digestOf(error)
  }
}

/** A pipe gives its content once, and reading it again would wait for ever: what is followed must be a file. */
function readRegular(file: string): Buffer {
  mustBeRegular(statSync(file))
  return readFileSync(file)
}

function mustBeRegular(found: Stats): void {
  // Of a folder the system itself tells.
  if (found.isFile() || found.isDirectory()) return
  throw Object.assign(new Error('it is not a regular file'), { code: 'not a regular file' })
}

/** Of the content of a file, or of why there is none. */
function digestOf(found: unknown): string {
  if (!Buffer.isBuffer(found)) return codeOf(found, UNREADABLE)
  return createHash('sha256').update(found).digest('base64')
}

function resolver(
  path: string,
  env: KeyringFileOptions['env'],
  read: (file: string) => Buffer,
): (reference: SecretReference) => Uint8Array {
  return ({ kind, value }) => {
    switch (kind) {
      case 'file':
        return read(resolve(dirname(path), value))
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

function readText(path: string, read: (file: string) => Buffer): string {
  try {
    const bytes = read(path)
    const text = bytes.toString('utf8')
    // Small files share a buffer that lives on.
    bytes.fill(0)
    return text
  } catch (error) {
    const message = `it cannot be read (${codeOf(error, UNREADABLE)})`
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path, message }], { cause: error })
  }
}
