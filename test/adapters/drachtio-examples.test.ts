import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { defineAgreement } from '../../src/xkeys/agreement.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { startFakeDrachtio, type FakeDrachtio } from '../support/fake-drachtio-server.ts'
import { contextOf } from '../support/messages.ts'
import { openPeer, type Received, type UdpPeer } from '../support/udp-peer.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const keyring = parseKeyring(readFileSync(join(ROOT, 'keyrings/demo.toml'), 'utf8'), { now: new Date() })
/** The agreement of the examples: a peer of theirs has the same. */
const agreement = defineAgreement({
  header: 'X-Auth',
  group: 'trunk-a',
  algorithm: 'hmac-sha256',
  request: {
    sender: '$Ri:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$(rb{s.sha256})',
    receiver: '$si:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$(rb{s.sha256})',
  },
  response: {
    sender: '$Ri:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)',
    receiver: '$si:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)',
  },
})
const verifier = createVerifier({ agreement, keyring })
const signer = createSigner({ agreement, keyring })

/** An example that runs, and what it wrote. */
function run(server: FakeDrachtio, name: string, ...args: readonly string[]) {
  const child = spawn(process.execPath, [join(ROOT, 'examples/drachtio', name), ...args], {
    env: { DRACHTIO_HOST: server.host, DRACHTIO_PORT: String(server.port), DRACHTIO_SECRET: server.secret },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const closed = once(child, 'close') as Promise<[number | null]>
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  }
  return { text: () => text, stop: () => child.kill('SIGTERM'), exit: async () => (await closed)[0] }
}

async function open(): Promise<{ server: FakeDrachtio; peer: UdpPeer }> {
  const [server, peer] = await Promise.all([startFakeDrachtio(), openPeer()])
  onTestFinished(() => Promise.all([server.close(), peer.close()]).then(() => undefined))
  return { server, peer }
}

const verdictOf = (received: Received): string => {
  const result = verifier.verify(contextOf(received.message, { source: received.from }))
  return result.ok ? 'accepted' : result.reason
}

describe('the examples for drachtio', () => {
  it('compile against the installed package', async () => {
    const cache = join(ROOT, '.cache')
    mkdirSync(cache, { recursive: true })
    const folder = mkdtempSync(join(cache, 'drachtio-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const config = {
      extends: '../../tsconfig.json',
      compilerOptions: { allowJs: true, checkJs: true, typeRoots: ['../../node_modules/@types'] },
      include: ['../../examples/drachtio/*.mjs'],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const child = spawn(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { stdio: 'pipe' })
    let report = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (report += text))
    await once(child, 'close')
    expect(report).toBe('')
  })

  it('app.mjs answers a call that is signed, and no other', async () => {
    const { server, peer } = await open()
    const app = run(server, 'app.mjs')
    await vi.waitFor(() => expect([...server.routed]).toEqual(['OPTIONS', 'INVITE']), 10_000)
    const request = (
      how: 'signed' | 'plain',
      method: string,
      cseq: number,
      to: string,
      body: string,
    ): Buffer => {
      const bytes = Buffer.from(
        [
          `${method} sip:bob@127.0.0.1:${server.sip.port} SIP/2.0`,
          `Via: SIP/2.0/UDP ${peer.at};branch=z9hG4bK${how}${method};rport`,
          'From: <sip:alice@atlanta.example>;tag=a',
          `To: ${to}`,
          `Call-ID: ${how}@atlanta.example`,
          `CSeq: ${cseq} ${method}`,
          `Contact: <sip:alice@${peer.at}>`,
          `Content-Length: ${body.length}`,
          '',
          body,
        ].join('\r\n'),
      )
      const token = signer.sign(contextOf(bytes, { local: peer.local }))
      if (!token.ok) throw new Error(token.reason)
      return how === 'plain' ? bytes : editHeaders(bytes, { add: [[token.header, token.token]] })
    }
    const to = '<sip:bob@biloxi.example>'
    await peer.send(request('plain', 'INVITE', 1, to, 'v=0\r\n'), server.sip)
    expect((await peer.receive()).text).toMatch(/^SIP\/2\.0 403 Forbidden/)
    await peer.send(request('signed', 'INVITE', 1, to, 'v=0\r\n'), server.sip)
    const ok = await peer.receive()
    expect([ok.text.slice(0, 11), verdictOf(ok)]).toEqual(['SIP/2.0 200', 'accepted'])
    const tagged = ok.message.headers('To')[0]!
    await peer.send(request('signed', 'ACK', 1, tagged, ''), server.sip)
    await vi.waitFor(() => expect(app.text()).toContain('call up'))
    await peer.send(request('signed', 'BYE', 2, tagged, ''), server.sip)
    const bye = await peer.receive()
    expect([bye.text.slice(0, 11), verdictOf(bye)]).toEqual(['SIP/2.0 200', 'accepted'])
    await vi.waitFor(() => expect(app.text()).toContain('call ended'))
    app.stop()
    expect(await app.exit()).toBe(0)
    expect(app.text().split('\n').slice(1, -1)).toEqual([
      'INVITE from 127.0.0.1: reject (header-missing)',
      'INVITE from 127.0.0.1: accept',
      'call up',
      'ACK from 127.0.0.1: accept',
      'BYE from 127.0.0.1: accept',
      'call ended',
    ])
  })

  it('call.mjs places a call that its receiver accepts', async () => {
    const { server, peer } = await open()
    const app = run(server, 'call.mjs', `sip:bob@${peer.at}`, `127.0.0.1:${server.sip.port}`)
    const invite = await peer.receive()
    expect([invite.message.method, verdictOf(invite)]).toEqual(['INVITE', 'accepted'])
    const lines = invite.text.split('\r\n').filter((line) => /^(?:Via|From|To|Call-ID|CSeq):/.test(line))
    await peer.send(
      Buffer.from(['SIP/2.0 603 Decline', ...lines, 'Content-Length: 0', '', ''].join('\r\n')),
      invite.from,
    )
    expect(await app.exit()).toBe(0)
    expect(app.text()).toContain('603')
  })
})
