import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** How a command ended. */
export interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number | null
}

export interface XkeysOptions {
  readonly cwd: string
  /** Bytes, or nothing. */
  readonly stdin?: Uint8Array | undefined
  readonly env?: Readonly<Record<string, string>>
}

/** The built command as a child process. Its environment is empty but for what is given. */
export function spawnXkeys(
  args: readonly string[],
  { cwd, env }: XkeysOptions,
): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
}

/** Runs the built command to its end. */
export async function xkeys(args: readonly string[], options: XkeysOptions): Promise<Outcome> {
  const child = spawnXkeys(args, options)
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8')
    child[name].on('data', (chunk: string) => (output[name] += chunk))
  }
  // A command that does not read its input may be gone before all is written.
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? Buffer.alloc(0))
  const [exit] = (await once(child, 'close')) as [number | null]
  return { ...output, exit }
}

/** A file of the repository. */
export function repositoryFile(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}
