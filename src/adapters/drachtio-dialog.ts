/**
 * Guarding requests inside a dialog: drachtio-srf hands them to the dialog before any middleware sees them.
 * @module
 */
import type { DrachtioMiddleware, DrachtioRequest, DrachtioResponse } from './drachtio-types.ts'

/** The request that made the dialog: one that came in, or one that the application sent. */
interface DialogHost {
  handle?: unknown
  readonly req?: DrachtioRequest
}

type Handle = (this: unknown, req: DrachtioRequest, res: DrachtioResponse) => unknown

/**
 * Lets a dialog's requests (BYE, re-INVITE, INFO, the ACK of its 2xx, …) go through middleware first. What is not passed
 * on reaches neither the dialog nor its events: a refused BYE ends nothing.
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
      if (error !== undefined && error !== null) return fail(req, res)
      const layer = middleware[index]
      if (layer === undefined) {
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

function fail(req: DrachtioRequest, res: DrachtioResponse): void {
  if (req.method === 'ACK') return
  try {
    res.send(500)
  } catch {
    // Nobody is left to answer through.
  }
}
