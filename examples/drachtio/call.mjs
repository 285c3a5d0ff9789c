// @ts-check
/**
 * Places one signed call through drachtio and says how it went: `node call.mjs sip:bob@192.0.2.10:5060 192.0.2.20:5060`,
 * the second being the address that the drachtio server sends from. The environment is that of app.mjs.
 */
import { readFileSync } from 'node:fs'
import Srf from 'drachtio-srf'
import { parseKeyring } from 'auth-xkeys'
import { signDrachtio } from 'auth-xkeys/drachtio'
import { agreement } from './agreement.mjs'

const [uri = 'sip:bob@127.0.0.1:5060', local = '127.0.0.1:5060'] = process.argv.slice(2)
const keyring = parseKeyring(readFileSync(new URL('../../keyrings/demo.toml', import.meta.url), 'utf8'), {
  now: new Date(),
})
const signer = signDrachtio({
  agreement,
  keyring,
  local: { address: local.split(':')[0] ?? '', port: Number(local.split(':')[1] ?? 5060) },
})

const sdp =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n'
const srf = new Srf()

/** @returns {Promise<string>} */
async function call() {
  const signed = signer.outgoing(uri, { headers: { From: '<sip:alice@atlanta.example>' }, body: sdp })
  if (!signed.ok) return `not signed: ${signed.reason}`
  try {
    const dialog = await srf.createUAC(uri, { headers: signed.headers, localSdp: sdp })
    dialog.destroy()
    return 'up, and ended'
  } catch (error) {
    return String(error)
  }
}

srf.on('error', (error) => console.log(String(error)))
srf.on('connect', async () => {
  console.log(await call())
  srf.disconnect()
})
void srf.connect({
  host: process.env['DRACHTIO_HOST'] ?? '127.0.0.1',
  port: Number(process.env['DRACHTIO_PORT'] ?? 9022),
  secret: process.env['DRACHTIO_SECRET'] ?? 'cymru',
})
