// @ts-check
/**
 * An application on drachtio-srf behind a trunk whose other end signs: it answers calls, and OPTIONS. Requests without a
 * token that fits never reach it; what it answers is signed.
 *
 * DRACHTIO_HOST, DRACHTIO_PORT and DRACHTIO_SECRET say where the drachtio server is. The keys are the published ones of
 * keyrings/demo.toml: put your own in their place.
 */
import { readFileSync } from 'node:fs'
import Srf from 'drachtio-srf'
import { createPipeline, createVerifier, parseKeyring, verifyPeer } from 'auth-xkeys'
import { guardDialogs, guardDrachtio, signDrachtioResponses } from 'auth-xkeys/drachtio'
import { agreement } from './agreement.mjs'

const keyring = parseKeyring(readFileSync(new URL('../../keyrings/demo.toml', import.meta.url), 'utf8'), {
  now: new Date(),
})
const pipeline = createPipeline([
  verifyPeer({ peer: 'carrier', verifier: createVerifier({ agreement, keyring }) }),
])

const layers = [
  signDrachtioResponses({ agreement, keyring, onFailure: (reason) => console.log(`not signed: ${reason}`) }),
  guardDrachtio(pipeline, {
    onDecision: (decision, req) => {
      const why = decision.verdict === 'reject' || decision.verdict === 'drop' ? ` (${decision.reason})` : ''
      console.log(`${req.method} from ${req.source_address}: ${decision.verdict}${why}`)
    },
  }),
]

const srf = new Srf()
for (const layer of layers) srf.use(layer)
// Requests inside a dialog reach no middleware: the dialogs themselves are guarded.
guardDialogs(srf, ...layers)

srf.use('options', (_req, res) => res.send(200))

srf.use('invite', async (req, res) => {
  try {
    const dialog = await srf.createUAS(req, res, { localSdp: req.msg.body })
    dialog.on('destroy', () => console.log('call ended'))
    console.log('call up')
  } catch (error) {
    console.log(`no call: ${String(error)}`)
  }
})

srf.on('connect', (error, hostport) => console.log(error ? String(error) : `connected to ${hostport}`))
srf.on('error', (error) => console.log(String(error)))
void srf.connect({
  host: process.env['DRACHTIO_HOST'] ?? '127.0.0.1',
  port: Number(process.env['DRACHTIO_PORT'] ?? 9022),
  secret: process.env['DRACHTIO_SECRET'] ?? 'cymru',
})
process.once('SIGTERM', () => srf.disconnect())
