/**
 * Telling systemd how far the service is (sd_notify(3)). Node has no datagram sockets of the local kind, so
 * `systemd-notify` sends what is said; the unit needs `Type=notify` and `NotifyAccess=all`.
 * @module
 */
import { spawn as spawnChild } from 'node:child_process'

/** `ready`: the sockets are open; `stopping`: the drain has begun. */
export type NotifyState = 'ready' | 'stopping'

/** `unwanted`: nobody listens, as outside of systemd. `failed`: it could not be said; the service goes on. */
export type NotifyOutcome = 'sent' | 'unwanted' | 'failed'

/** As much of `spawn` of node:child_process as is needed. */
export type SpawnNotify = (
  command: string,
  args: readonly string[],
  options: {
    readonly env: Record<string, string>
    readonly stdio: 'ignore'
    readonly timeout: number
    readonly killSignal: 'SIGKILL'
  },
) => {
  once(event: 'close', listener: (code: number | null) => void): unknown
  once(event: 'error', listener: (error: Error) => void): unknown
}

/** `systemd-notify` knows `--stopping` from version 253 on only; the assignment goes with each. */
const ARGUMENTS: Readonly<Record<NotifyState, string>> = { ready: '--ready', stopping: 'STOPPING=1' }

/** It waits for systemd up to 5 seconds by itself; after this many milliseconds it is ended. */
const PATIENCE = 6000

/**
 * Tells systemd the state, where it asked to be told: where `env` has `NOTIFY_SOCKET`. Never rejects, never throws.
 * @param spawn starts the program; absent: a child process
 * @example void notifySystemd('ready', process.env)
 */
export function notifySystemd(
  state: NotifyState,
  env: Readonly<Record<string, string | undefined>>,
  spawn: SpawnNotify = spawnChild,
): Promise<NotifyOutcome> {
  const socket = env['NOTIFY_SOCKET']
  if (socket === undefined || socket === '') return Promise.resolve('unwanted')
  const path = env['PATH']
  return new Promise((resolve) => {
    try {
      const child = spawn('systemd-notify', [ARGUMENTS[state]], {
        // Nothing else of the environment: it may hold keys.
        env: { NOTIFY_SOCKET: socket, ...(path !== undefined && { PATH: path }) },
        stdio: 'ignore',
        timeout: PATIENCE,
        killSignal: 'SIGKILL',
      })
      child.once('error', () => resolve('failed'))
      child.once('close', (code) => resolve(code === 0 ? 'sent' : 'failed'))
    } catch {
      resolve('failed')
    }
  })
}
