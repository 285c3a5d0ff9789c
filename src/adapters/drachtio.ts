/**
 * `auth-xkeys/drachtio`: middleware for applications on drachtio-srf.
 * @module
 */
export { guardDialog, guardDialogs } from './drachtio-dialog.ts'
export { guardDrachtio, type GuardOptions } from './drachtio-guard.ts'
export { signDrachtioResponses, type SignResponsesOptions } from './drachtio-respond.ts'
export {
  signDrachtio,
  type DrachtioSigner,
  type DrachtioSignFailure,
  type DrachtioSignResult,
  type OutgoingRequest,
  type SignDrachtioOptions,
} from './drachtio-sign.ts'
export type {
  Authenticated,
  DrachtioMiddleware,
  DrachtioRequest,
  DrachtioResponse,
} from './drachtio-types.ts'
