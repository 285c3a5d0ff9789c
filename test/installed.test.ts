/**
 * The package as its users get it: packed, installed into an empty project, used from its published subpaths.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createKey } from '../src/keyring/key.ts'
import { createKeyring } from '../src/keyring/keyring.ts'
import { editHeaders } from '../src/message/edit.ts'
import type { Endpoint } from '../src/message/types.ts'
import { defineAgreement } from '../src/xkeys/agreement.ts'
import { createSigner } from '../src/xkeys/sign.ts'
import { requestOf } from './support/edge-rig.ts'
import { startFakeDrachtio } from './support/fake-drachtio-server.ts'
import { contextOf } from './support/messages.ts'
import { tempFolder } from './support/peers.ts'
import { openPeer, type UdpPeer } from './support/udp-peer.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const SECRET = 'a-secret-for-the-empty-project-0123456789'
const signer = createSigner({
  agreement: defineAgreement({
    header: 'X-Auth',
    group: 'a',
    algorithm: 'hmac-sha256',
    request: '$rm:$ru:$ci',
  }),
  keyring: createKeyring([['a', [createKey({ name: 'k', secret: SECRET })]]]),
})

const COMMON = `import { createPipeline, createVerifier, defineAgreement, parseKeyring, verifyPeer } from 'auth-xkeys'
const keyring = parseKeyring('[[groups.a.keys]]\\nname = "k"\\nvalue = "${SECRET}"')
const agreement = defineAgreement({ header: 'X-Auth', group: 'a', algorithm: 'hmac-sha256', request: '$rm:$ru:$ci' })
const verifier = createVerifier({ agreement, keyring })
const pipeline = createPipeline([verifyPeer({ peer: 'carrier', source: ['127.0.0.1'], verifier })])
`

const APPS = {
  sip: `${COMMON}import { createSip, makeResponse } from 'auth-xkeys/sip'
const stack = createSip({ address: '127.0.0.1', port: 0, pipeline }, (request, _remote, identity) => {
  console.log(request.method, identity.peer, identity.key.name)
  stack.send(makeResponse(request, 200, 'OK'))
})
console.log('port', (await stack.ready).port)
`,
  drachtio: `${COMMON}import Srf from 'drachtio-srf'
import { guardDrachtio } from 'auth-xkeys/drachtio'
const srf = new Srf()
srf.use(guardDrachtio(pipeline))
srf.use('options', (req, res) => {
  console.log(req.method, req.identity.peer, req.identity.key.name)
  res.send(200)
})
srf.connect({ host: process.argv[2], port: Number(process.argv[3]), secret: process.argv[4] })
`,
} as const

const folder = tempFolder()

function start(app: keyof typeof APPS, args: readonly string[] = []): () => string {
  const child = spawn(process.execPath, [join(folder, `${app}.mjs`), ...args], { cwd: folder })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)))
  return () => text
}

async function open(): Promise<UdpPeer> {
  const peer = await openPeer()
  onTestFinished(() => peer.close())
  return peer
}

async function npm(cwd: string, ...args: string[]): Promise<string> {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund']
  return (await promisify(execFile)('npm', [...args, ...quiet], { cwd })).stdout
}

/** The answers to a signed OPTIONS and to one without a token. */
async function ask(peer: UdpPeer, to: Endpoint): Promise<(number | undefined)[]> {
  const plain = requestOf('OPTIONS', peer)
  const signed = signer.sign(contextOf(plain))
  if (!signed.ok) throw new Error(signed.reason)
  await peer.send(editHeaders(plain, { add: [[signed.header, signed.token]] }), to)
  const accepted = (await peer.receive()).message.status
  const other = { Via: `SIP/2.0/UDP ${peer.at};branch=z9hG4bKplain;rport`, 'Call-ID': 'plain' }
  await peer.send(requestOf('OPTIONS', peer, { with: other }), to)
  return [accepted, (await peer.receive()).message.status]
}

describe('installed into an empty project', () => {
  beforeAll(async () => {
    mkdirSync(folder, { recursive: true })
    const [{ filename }] = JSON.parse(await npm(ROOT, 'pack', '--json', '--pack-destination', folder)) as [
      { filename: string },
    ]
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
    await npm(folder, 'install', '--prefer-offline', `./${filename}`, 'drachtio-srf@5')
    for (const [name, text] of Object.entries(APPS)) writeFileSync(join(folder, `${name}.mjs`), text)
  }, 120_000)

  it('the apps are fifteen lines or so', () => {
    for (const text of Object.values(APPS)) expect(text.trim().split('\n').length).toBeLessThanOrEqual(15)
  })

  it('an app on the package sip runs', async () => {
    const output = start('sip')
    await vi.waitFor(() => expect(output()).toMatch(/^port \d+$/m), 10_000)
    const port = Number(/^port (\d+)$/m.exec(output())![1])
    expect(await ask(await open(), { address: '127.0.0.1', port })).toEqual([200, 403])
    expect(output()).toMatch(/^OPTIONS carrier k$/m)
  })

  it('an app on drachtio-srf runs, its server being a stand-in', async () => {
    const server = await startFakeDrachtio()
    onTestFinished(() => server.close())
    const output = start('drachtio', [server.host, String(server.port), server.secret])
    await vi.waitFor(() => expect([...server.routed]).toEqual(['OPTIONS']), 10_000)
    expect(await ask(await open(), server.sip)).toEqual([200, 403])
    expect(output()).toMatch(/^OPTIONS carrier k$/m)
  })

  it('the command runs', async () => {
    const { stdout } = await promisify(execFile)(join(folder, 'node_modules/.bin/xkeys'), ['key', 'generate'])
    expect(stdout).toMatch(/^xks_[\w-]{43}\n$/)
  })
})
