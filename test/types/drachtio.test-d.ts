/**
 * The adapter against the real types of drachtio-srf, which are loose and leave things out: each statement below fails to
 * compile where the two no longer fit.
 */
import Srf from 'drachtio-srf'
import {
  guardDialog,
  guardDialogs,
  guardDrachtio,
  signDrachtio,
  signDrachtioResponses,
  type Authenticated,
  type DrachtioMiddleware,
  type DrachtioRequest,
  type DrachtioResponse,
  type DrachtioSigner,
} from '../../src/adapters/drachtio.ts'
import type * as api from '../../src/index.ts'

/** What the package has goes in. */
export const request = (req: Srf.SrfRequest): DrachtioRequest => req
export const response = (res: Srf.SrfResponse): DrachtioResponse => res

declare const srf: Srf
declare const pipeline: api.Pipeline
declare const options: api.KeyOptions
declare const dialog: Srf.Dialog

/** What the adapter makes is middleware, for all methods or one. */
export function middleware(): void {
  const guard: DrachtioMiddleware = guardDrachtio(pipeline)
  srf.use(guard)
  srf.use('invite', guard)
  srf.use(
    guardDrachtio(pipeline, { onDecision: (decision, req) => void [decision.verdict, req.source_address] }),
  )
  srf.use(signDrachtioResponses(options))
  srf.use(signDrachtioResponses({ ...options, onFailure: (reason: api.SignFailure) => void reason }))
  guardDialogs(srf, guard)
  guardDialog(dialog, guard, guard)
}

/** A handler can say that it has the identity. */
export function handler(): void {
  srf.invite((req: Srf.SrfRequest & Authenticated, res) => {
    const { identity } = req
    if (identity?.kind === 'peer')
      res.send(200, { headers: { 'X-Peer': identity.peer, 'X-Key': identity.key.name } })
  })
}

/** Headers go where the package takes headers. */
export async function requests(req: Srf.SrfRequest, res: Srf.SrfResponse): Promise<string> {
  const signer: DrachtioSigner = signDrachtio({ ...options, local: { address: '192.0.2.7', port: 5060 } })
  const uri = 'sip:bob@biloxi.example'
  const signed = signer.outgoing(uri, { method: req.method, headers: req.headers, body: req.msg.body })
  if (!signed.ok) return signed.reason
  await srf.createUAC(uri, { headers: signed.headers })
  await srf.createB2BUA(req, res, uri, { headers: signed.headers })
  const onward = signer.proxied(req, uri)
  // The package takes headers here and leaves them out of its types.
  if (onward.ok) srf.proxyRequest(req, uri, { headers: onward.headers } as Srf.ProxyRequestOptions)
  return signed.key.name
}

// @ts-expect-error: a keyring alone signs nothing
export const withoutAgreement = (): unknown => signDrachtio({ keyring: options.keyring })
// @ts-expect-error: a stage is no pipeline
export const withStage = (stage: api.Stage): unknown => guardDrachtio(stage)
