import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import {
  createSip,
  makeResponse,
  type SipOptions,
  type SipRemote,
  type SipResponse,
} from '../../src/adapters/sip.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { agreementOf, keyringOf, signedBytes } from '../support/signed-messages.ts'
import { contextOf } from '../support/messages.ts'
import { connectTo, startRig, tcpEnd, type Rig, type RigOptions } from './sip-rig.ts'

const agreement = agreementOf()
const keyring = keyringOf()
const verifier = createVerifier({ agreement, keyring })

/** A stack whose peer may come from any port, as over TCP it does. */
const overTcp = (options: RigOptions = {}): Promise<Rig> =>
  startRig({
    pipeline: createPipeline([verifyPeer({ peer: 'carrier', source: ['127.0.0.1'], verifier })]),
    signers: [{ target: ['127.0.0.1'], signer: createSigner({ agreement, keyring }) }],
    ...options,
  })

const options = (rig: Rig, branch = 'z9hG4bK-tcp'): Buffer =>
  signedBytes(
    rig.request('OPTIONS', {
      with: { Via: `SIP/2.0/TCP 127.0.0.1;branch=${branch}` },
      add: ['Content-Length: 0'],
    }),
    agreement,
  )

describe('over TCP', () => {
  it('a request reaches the app, and its signed response comes back on the same connection', async () => {
    const remotes: SipRemote[] = []
    const rig = await overTcp({
      handler: (request, remote) => {
        remotes.push(remote)
        rig.stack.send(makeResponse(request, 200, 'OK'))
      },
    })
    const end = await connectTo(rig.at)
    end.send('\r\n\r\n', options(rig))
    const { message, text } = await end.receive()
    expect(text.startsWith('\r\nSIP/2.0 200')).toBe(true)
    expect(verifier.verify(contextOf(message)).ok).toBe(true)
    const port = end.socket.localPort!
    expect(remotes).toEqual([{ protocol: 'TCP', address: '127.0.0.1', port, local: rig.at }])
  })

  it('a failure is sent once: Timer G is for datagrams', async () => {
    const rig = await overTcp({ handler: (request) => rig.stack.send(makeResponse(request, 486, 'Busy')) })
    const end = await connectTo(rig.at)
    const invite = rig.request('INVITE', {
      with: { Via: 'SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK-g' },
      add: ['Content-Length: 0'],
    })
    end.send(signedBytes(invite, agreement))
    expect((await end.receive()).message.status).toBe(486)
    // The package sends it again after half a second; what is asked later is answered before it here.
    await new Promise((resolve) => setTimeout(resolve, 700))
    end.send(options(rig))
    const { message } = await end.receive()
    expect(message.method).toBe('OPTIONS')
  })

  it('a refusal keeps the connection, and so does M7 a message that is none; one without an end closes it', async () => {
    const rig = await overTcp({ handler: (request) => rig.stack.send(makeResponse(request, 200, 'OK')) })
    const end = await connectTo(rig.at)
    end.send(rig.request('OPTIONS', { add: ['Content-Length: 0'] }))
    expect((await end.receive()).message.status).toBe(403)
    end.send(options(rig))
    expect((await end.receive()).message.status).toBe(200)
    end.send('OPTIONS sip:a SIP/2.0\r\nFrom: a\r\nContent-Length: 0\r\n\r\n', options(rig, 'z9hG4bK-later'))
    expect((await end.receive()).message.status).toBe(200)
    end.send(
      'OPTIONS sip:a SIP/2.0\r\nFrom: a\nX: y\r\nContent-Length: 0\r\n\r\n',
      options(rig, 'z9hG4bK-last'),
    )
    expect(await end.rest()).toBe('')
    expect(rig.decisions).toEqual([
      'OPTIONS reject header-missing',
      'OPTIONS accept peer',
      '- drop header-missing',
      'OPTIONS accept peer',
      '- drop bare-lf',
    ])
  })

  it('a response whose connection is gone is told, and harms nothing', async () => {
    const calls: string[] = []
    const rig = await overTcp({
      handler: async (request) => {
        calls.push(request.method)
        while (rig.events.length === 0) {
          rig.stack.send(makeResponse(request, 183, 'Progress'))
          await new Promise(setImmediate)
        }
      },
    })
    const end = await connectTo(rig.at)
    end.send(options(rig))
    while (calls.length === 0) await new Promise(setImmediate)
    end.socket.destroy()
    while (rig.events.length === 0) await new Promise(setImmediate)
    expect(rig.events[0]).toMatchObject({ event: expect.stringMatching(/not-sent|socket-error/) })
  })

  it('L4 a message as long as was allowed gets through', async () => {
    const rig = await overTcp({
      maxContentLength: 10_000_000,
      handler: (request) => rig.stack.send(makeResponse(request, 200, 'OK')),
    })
    const end = await connectTo(rig.at)
    const body = 'x'.repeat(9_000_000)
    const bytes = rig.request('OPTIONS', {
      with: { Via: 'SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK-long' },
      add: [`Content-Length: ${body.length}`],
      body,
    })
    end.send(signedBytes(bytes, agreement))
    expect((await end.receive()).message.status).toBe(200)
  })

  it('M7 a response whose connection is gone goes to where the sender listens', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const waiting: (() => void)[] = []
    const rig = await overTcp({
      handler: (request) => waiting.push(() => rig.stack.send(makeResponse(request, 200, 'OK'))),
    })
    const end = await connectTo(rig.at)
    const Via = `SIP/2.0/TCP 127.0.0.1:${port};branch=z9hG4bK-gone`
    const invite = rig.request('INVITE', { with: { Via }, add: ['Content-Length: 0'] })
    const accepted = once(server, 'connection') as Promise<[Socket]>
    end.send(signedBytes(invite, agreement), 'OPTIONS sip:a SIP/2.0\r\nFrom: a\nContent-Length: 0\r\n\r\n')
    await end.rest()
    waiting[0]!()
    const [socket] = await accepted
    const { message } = await tcpEnd(socket).receive()
    expect(message.status).toBe(200)
    expect(verifier.verify(contextOf(message)).ok).toBe(true)
    expect(rig.events).toEqual([])
  })

  it('a request of the app opens one, and its response comes back on it', async () => {
    const rig = await overTcp()
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const response = new Promise<SipResponse>((resolve) =>
      rig.stack.send(
        {
          method: 'OPTIONS',
          uri: `sip:a@127.0.0.1:${port};transport=tcp`,
          headers: {
            from: { uri: 'sip:us@127.0.0.1', params: { tag: 'ours' } },
            to: { uri: 'sip:a@127.0.0.1' },
            'call-id': 'tcp-out',
            cseq: { seq: 1, method: 'OPTIONS' },
          },
        },
        resolve,
      ),
    )
    const [socket] = await accepted
    const end = tcpEnd(socket)
    const { message, text } = await end.receive()
    expect(message.headers('Via')[0]).toMatch(new RegExp(`^SIP/2.0/TCP 127.0.0.1:${rig.at.port};branch=`))
    expect(verifier.verify(contextOf(message)).ok).toBe(true)
    const answer = text
      .replace(/^.*\r\n/, 'SIP/2.0 200 OK\r\n')
      .replace(/X-Auth: .*\r\n/, '')
      .replace(/^(To: .*)\r$/m, '$1;tag=t\r')
    end.send(signedBytes(Buffer.from(answer, 'latin1'), agreement))
    expect((await response).status).toBe(200)
  })

  it('to nobody calls back with 503', async () => {
    const rig = await overTcp()
    const headers = { from: '<sip:a@b>;tag=1', to: '<sip:a@b>', 'call-id': '1', cseq: '1 OPTIONS' }
    const got = await new Promise<SipResponse>((resolve) =>
      rig.stack.send({ method: 'OPTIONS', uri: 'sip:a@127.0.0.1:9;transport=tcp', headers }, resolve),
    )
    expect(got.status).toBe(503)
  })
})

describe('options', () => {
  const pipeline = createPipeline([verifyPeer({ peer: 'p', verifier })])

  it('that cannot be used are all told at once', () => {
    const wrong = {
      address: 'sip.example',
      port: 70_000,
      udp: false,
      tcp: false,
      tls: {},
      ws_port: 80,
      unsigned: 'maybe',
      limits: { transactions: 0 },
      maxContentLength: -1,
      signers: [{ target: ['nowhere'], signer: createSigner({ agreement, keyring }) }],
    } as unknown as SipOptions
    const error = (() => {
      try {
        createSip(wrong, () => {})
      } catch (caught) {
        return caught
      }
      return undefined
    })()
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).issues.map(({ path }) => path)).toEqual([
      'address',
      'port',
      'tls',
      'ws_port',
      'udp',
      'pipeline',
      'unsigned',
      'limits.transactions',
      'maxContentLength',
      'signers[0].target[0]',
    ])
  })

  it('a stack may have one transport alone', async () => {
    for (const transports of [{ udp: false }, { tcp: false }]) {
      const stack = createSip({ address: '127.0.0.1', port: 0, pipeline, ...transports }, () => {})
      expect((await stack.ready).port).toBeGreaterThan(0)
      await stack.destroy()
    }
  })

  it('what Via says: publicAddress, the address, hostname where there is none', async () => {
    const hosts = [{ publicAddress: '192.0.2.1' }, {}, { address: '0.0.0.0', hostname: 'sip.example' }]
    const names = hosts.map(async (more) => {
      const stack = createSip({ address: '127.0.0.1', port: 0, pipeline, ...more }, () => {})
      await stack.ready
      await stack.destroy()
      return stack.hostname()
    })
    expect(await Promise.all(names)).toEqual(['192.0.2.1', '127.0.0.1', 'sip.example'])
  })
})
