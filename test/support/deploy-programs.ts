/**
 * Programs that check what is in deploy/.
 */
import { execFile } from 'node:child_process'
import { describePeers, programPath } from './peers.ts'

/** As `describePeers`, for any programs. */
export const describeWith = describePeers as (
  title: string,
  programs: readonly string[],
  define: () => void,
) => void

/** Path of any program. */
export const pathOf = programPath as (name: string) => string

/** How a program ended, with both its streams in one text. */
export interface Ended {
  readonly exit: number
  readonly output: string
}

/** Runs a program to its end. */
export function runProgram(name: string, args: readonly string[], cwd?: string): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      pathOf(name),
      [...args],
      { cwd, timeout: 20_000, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const exit = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        resolve({ exit, output: stdout + stderr })
      },
    )
  })
}
