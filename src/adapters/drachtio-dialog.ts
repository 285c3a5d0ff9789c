/**
 * Guarding requests inside a dialog: drachtio-srf hands them to the dialog before any middleware sees them.
 * @module
 */
import type { Identity } from '../pipeline/stage.ts'
import { markRefused } from './drachtio-refused.ts'
import type {
  Authenticated,
  DrachtioMiddleware,
  DrachtioRequest,
  DrachtioResponse,
} from './drachtio-types.ts'

/** The request that made the dialog: one that came in, or one that the application sent. */
interface DialogHost {
  handle?: unknown
  readonly req?: DrachtioRequest
}

type Handle = (this: unknown, req: DrachtioRequest, res: DrachtioResponse) => unknown

/**
 * Lets a dialog's requests (BYE, re-INVITE, INFO, the ACK of its 2xx, …) go through middleware first. What is not passed
 * on reaches neither the dialog nor its events: a refused BYE ends nothing. What another peer or user sends than the one
 * whom the dialog's own request was from is answered 403, however good its token. A dialog that the application opened
 * has no such request: give its guard a pipeline that accepts the peer called and no other.
 * @param middleware those that `srf.use` got, in the same order
 * @throws TypeError on what is no dialog of drachtio-srf.
 * @example guardDialog(await srf.createUAS(req, res, options), signResponses, guard)
 */
export function guardDialog(dialog: object, ...middleware: readonly DrachtioMiddleware[]): void {
  const host = dialog as DialogHost
  if (typeof host.handle !== 'function')
    throw new TypeError('this is no dialog of drachtio-srf: it lacks handle()')
  const handle = host.handle as Handle
  // A dialog keeps requests back while its other leg is being set up, and then hands them to itself once more.
  const passed = new WeakSet<DrachtioRequest>()

  host.handle = function guarded(req: DrachtioRequest, res: DrachtioResponse): void {
    if (passed.has(req)) return void handle.call(dialog, req, res)
    // The server tells the local address outside dialogs only. Inside, requests come to where the dialog was made.
    if (req.receivedOn === undefined) Object.assign(req, { receivedOn: localOfDialog(host.req) })
    const step = (index: number, error: unknown): void => {
      if (error !== undefined && error !== null) return answer(500, req, res)
      const layer = middleware[index]
      if (layer === undefined) {
        if (isOfAnother(identityOf(host.req), identityOf(req))) {
          markRefused(req)
          return answer(403, req, res)
        }
        passed.add(req)
        return void handle.call(dialog, req, res)
      }
      layer(req, res, (thrown) => step(index + 1, thrown))
    }
    step(0, undefined)
  }
}

/**
 * Guards every dialog that `srf` makes from now on, from its first request on. With `guardDialog` behind an `await`, a
 * request that arrives together with the response is already handled.
 * @throws TypeError on what is no Srf.
 * @example guardDialogs(srf, signResponses, guard)
 */
export function guardDialogs(srf: object, ...middleware: readonly DrachtioMiddleware[]): void {
  const host = srf as { addDialog?: unknown }
  if (typeof host.addDialog !== 'function') throw new TypeError('this is no Srf: it lacks addDialog()')
  const addDialog = host.addDialog as (this: unknown, dialog: object) => unknown
  host.addDialog = function guarded(dialog: object): unknown {
    guardDialog(dialog, ...middleware)
    return addDialog.call(srf, dialog)
  }
}

/** Where the dialog's own request arrived; of one that was sent, the host gives the address it left from as source. */
function localOfDialog(req: DrachtioRequest | undefined): string | undefined {
  return req?.source === 'application' ? `${req.source_address}:${req.source_port}` : req?.receivedOn
}

function identityOf(req: (DrachtioRequest & Authenticated) | undefined): Identity | undefined {
  return req?.identity
}

/** Whether both are known and not the same; the key may be another, for a rotation does not end calls. */
function isOfAnother(own: Identity | undefined, given: Identity | undefined): boolean {
  if (own === undefined || given === undefined) return false
  if (own.kind === 'user') {
    return given.kind !== 'user' || own.username !== given.username || own.realm !== given.realm
  }
  // Who proved nothing ends no call of one who did.
  return (
    given.kind === 'user' || own.peer !== given.peer || (given.kind === 'unsigned' && own.kind === 'peer')
  )
}

function answer(status: 403 | 500, req: DrachtioRequest, res: DrachtioResponse): void {
  if (req.method === 'ACK') return
  try {
    res.send(status)
  } catch {
    // Nobody is left to answer through.
  }
}
