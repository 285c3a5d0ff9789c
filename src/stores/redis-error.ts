/**
 * Errors of Redis and of the way to it, in words that hold no secret: what the library rejects with carries the command
 * and its arguments, the password among them, and is never passed on.
 * @module
 */
import { StoreError, type StoreFault } from './store-error.ts'

/** What the first word of an error reply means; any other: `refused`. */
const REPLIES: Readonly<Record<string, readonly [StoreFault, string]>> = {
  WRONGPASS: ['refused', 'the user name or the password is wrong'],
  NOAUTH: ['refused', 'it asks for a password'],
  NOPERM: ['refused', 'the user has not the right to do this'],
  OOM: ['full', 'it has no memory left'],
  LOADING: ['away', 'it is still loading'],
  MASTERDOWN: ['away', 'it is a replica without its master'],
  READONLY: ['away', 'it is a replica'],
  CLUSTERDOWN: ['away', 'the cluster is down'],
  TRYAGAIN: ['away', 'the cluster is moving its keys'],
  MISCONF: ['away', 'it cannot write to its disk'],
  NOREPLICAS: ['away', 'it has too few replicas'],
  BUSY: ['away', 'it is busy with a script'],
  WRONGTYPE: ['damaged', 'something else is kept under this name'],
}

/** What went wrong. Never has a cause. */
export function redisFault(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  if (!(error instanceof Error)) return new StoreError('away', 'it failed')
  // Of a cluster: why the last of its nodes could not be asked.
  if ('lastNodeError' in error && error.lastNodeError instanceof Error) return redisFault(error.lastNodeError)
  if (error.name === 'ReplyError') {
    const [word = 'ERR'] = /^[A-Z]{2,20}\b/.exec(error.message) ?? []
    const [code, message] = REPLIES[word] ?? ['refused', 'it refused the command']
    return new StoreError(code, `${message} (${word})`)
  }
  if (error.name === 'MaxRetriesPerRequestError' || !('code' in error))
    return new StoreError('away', 'there is no connection to it')
  return new StoreError('away', `it cannot be reached (${String(error.code)})`)
}

/** Whether a script is not known to the server, and must be sent whole. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}
