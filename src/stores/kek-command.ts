/**
 * A command that prints a key: run without a shell, in bounded time, of bounded output. Nothing that it prints, on
 * either stream, is part of a message.
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import { codeOf } from '../errors.ts'

/** Program and arguments, run as they are: no shell looks at them. */
export type Command = readonly [program: string, ...args: string[]]

/** How a command is run. */
export interface CommandOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where it runs; default: the working directory. */
  readonly directory?: string | undefined
  /** How long it may take, in milliseconds; then it is killed. */
  readonly timeoutMs: number
  /** The most that it may print, in bytes. */
  readonly maxBytes: number
}

/**
 * Runs a command and waits for what it prints on standard output.
 * @throws Error that says what went wrong: not found, failed, too slow, too much
 */
export function runCommand([program, ...args]: Command, options: CommandOptions): Buffer {
  const { status, signal, stdout, error } = spawned(() =>
    spawnSync(program, args, {
      ...settings(options),
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: options.maxBytes,
    }),
  )
  const fault = faultOf(error, options) ?? (status === 0 ? undefined : failed(status, signal))
  if (fault === undefined) return stdout
  // Null where the program did not even start.
  stdout?.fill(0)
  throw new Error(fault)
}

/** As `runCommand`, while the process goes on with its work. */
export function runCommandLater([program, ...args]: Command, options: CommandOptions): Promise<Buffer> {
  return new Promise((done, refuse) => {
    // A group of its own, so that what the command has started ends with it.
    const child = spawned(() => spawn(program, args, { ...settings(options), detached: true }))
    const chunks: Buffer[] = []
    let length = 0
    const end = (fault: string | undefined): void => {
      clearTimeout(timer)
      if (fault === undefined) done(Buffer.concat(chunks))
      else refuse(new Error(fault))
      for (const chunk of chunks.splice(0)) chunk.fill(0)
    }
    const kill = (fault: string): void => {
      end(fault)
      child.stdout.destroy()
      killGroup(child.pid)
    }
    const timer = setTimeout(() => kill(tooSlow(options)), options.timeoutMs)
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length > options.maxBytes) kill(tooMuch(options))
    })
    child.once('error', (error) => end(faultOf(error, options)))
    child.once('close', (status, signal) => end(status === 0 ? undefined : failed(status, signal)))
  })
}

function settings({ env, directory }: CommandOptions) {
  const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore']
  return { shell: false, windowsHide: true, stdio, env: { ...env }, cwd: directory }
}

/** Words that no process can have are refused with a message that shows them. */
function spawned<T>(start: () => T): T {
  let fault: string
  try {
    return start()
  } catch (error) {
    fault = cannotRun(error)
  }
  throw new Error(fault)
}

function faultOf(error: Error | undefined, options: CommandOptions): string | undefined {
  if (error === undefined) return undefined
  const code = codeOf(error)
  if (code === 'ETIMEDOUT') return tooSlow(options)
  return code === 'ENOBUFS' ? tooMuch(options) : cannotRun(error)
}

const cannotRun = (error: unknown): string => `the command cannot be run (${codeOf(error)})`
const tooMuch = ({ maxBytes }: CommandOptions): string => `the command printed more than ${maxBytes} bytes`
const tooSlow = ({ timeoutMs }: CommandOptions): string =>
  `the command did not end within ${timeoutMs / 1000} seconds`
const failed = (status: number | null, signal: string | null): string =>
  `the command failed (${status === null ? signal : `exit ${status}`})`

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It is gone.
  }
}
