import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HashAlgorithm } from '../../src/digest/algorithm.ts'
import { computeHa1, computeResponse } from '../../src/digest/response.ts'
import { paramsOf, PASSWORD } from '../digest/client.ts'
import { USERS } from '../digest/stage.ts'
import {
  describePeers,
  freePorts,
  programPath,
  start,
  startKamailio,
  tempFolder,
  type Running,
} from '../support/peers.ts'
import { startDigestHost, type DigestHost } from './digest-host.ts'
import { headerOf, openEnd, type UdpEnd } from './endpoint.ts'
import { generator, LETTERS, SPECIAL } from './generated.ts'

// ── SIPp asks us ──

/** A request without and with credentials; `status` is what the second is answered with. */
function scenario(method: 'REGISTER' | 'INVITE', password: string, status: number): string {
  const [uri, header] = method === 'REGISTER' ? ['sip:example.org', 401] : ['sip:bob@example.com', 407]
  const to = method === 'REGISTER' ? 'sip:alice@example.org' : uri
  const message = (name: string, cseq: number, credentials: string): string => `  <send><![CDATA[
${name} ${uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:alice@example.org>;tag=[call_number]
To: <${to}>[peer_tag_param]
Call-ID: [call_id]
CSeq: ${cseq} ${name}
Max-Forwards: 70
${credentials}Content-Length: 0

]]></send>`
  const ack = (cseq: number): string => (method === 'INVITE' ? message('ACK', cseq, '') : '')
  return `<?xml version="1.0" encoding="UTF-8" ?>
<scenario name="digest">
${message(method, 1, '')}
  <recv response="${header}" auth="true"/>
${ack(1)}
${message(method, 2, `[authentication username=alice password=${password}]\n`).replace('[peer_tag_param]', '')}
  <recv response="${status}"/>
${ack(2)}
</scenario>
`
}

const CALLS = 25

describePeers('SIPp asks us', ['sipp'], () => {
  let host: DigestHost | undefined
  afterAll(() => host?.close())

  it.each([
    ['REGISTER', 'the password', 'correct-horse', 200, 'accepted'],
    ['INVITE', 'the password', 'correct-horse', 200, 'accepted'],
    ['REGISTER', 'another one', 'wrong', 403, 'refused: password-wrong'],
    ['INVITE', 'another one', 'wrong', 403, 'refused: password-wrong'],
  ] as const)('%s with %s', async (method, _, password, status, outcome) => {
    const [hostPort = 0, port = 0] = await freePorts(2)
    await host?.close()
    // Old telephones know only MD5, and so does SIPp.
    host = await startDigestHost(
      { address: '127.0.0.1', port: hostPort },
      USERS.replaceAll(PASSWORD, 'correct-horse'),
      { algorithms: ['MD5'] },
    )
    const folder = tempFolder()
    writeFileSync(join(folder, 'digest.xml'), scenario(method, password, status))
    const sipp = start(
      programPath('sipp'),
      [
        ['-sf', join(folder, 'digest.xml'), '-i', '127.0.0.1', '-p', String(port), '-m', String(CALLS)],
        // By default SIPp hashes the address that it sends to, whatever the Request-URI is.
        ['-auth_uri', method === 'REGISTER' ? 'example.org' : 'bob@example.com'],
        ['-r', '50', '-nostdin', '-timeout', '30s', '-timeout_error', '-recv_timeout', '8000'],
        [`127.0.0.1:${hostPort}`],
      ].flat(),
      folder,
    )
    expect({ code: await sipp.ended, output: sipp.output() }).toMatchObject({ code: 0 })
    const counts = host.counts()
    // Retransmissions count, too. ACKs of SIPp carry no credentials.
    const expected = ['challenged: credentials-missing', outcome]
    expect(Object.keys(counts).filter((name) => name !== 'dropped: credentials-missing')).toEqual(expected)
    for (const name of expected) expect(counts[name]).toBeGreaterThanOrEqual(CALLS)
  })
})

// ── Kamailio judges and computes what we compute ──

/** One generated request and who asks it. */
interface Case {
  readonly method: string
  readonly username: string
  readonly password: string
  readonly uri: string
  readonly nc: string
  readonly cnonce: string
  /** Not auth-int: Kamailio 5.6 never hashes a body for it (auth_check_response in api.c), and accepts no answer. */
  readonly qop: 'auth' | undefined
  readonly body: string
}

function makeCases(count: number): readonly Case[] {
  const { below, pick, word } = generator(20_261_121)
  return Array.from({ length: count }, (_, i) => ({
    method: pick(['REGISTER', 'INVITE', 'MESSAGE', 'SUBSCRIBE', 'OPTIONS', 'PUBLISH']),
    username:
      `${word(LETTERS, 12)}${i % 3 === 0 ? word(`${LETTERS}äñ漢.-_ `, 8) : ''}${i % 7 === 0 ? '@sip.example' : ''}`.trim(),
    password: `${word(LETTERS, 3)}${word(LETTERS + SPECIAL, 20)}`,
    uri: `sip:${word(LETTERS, 8)}@${word('abcdef', 6)}.example${pick(['', ':5070', ';user=phone', ';a=%20b'])}`,
    nc: (1 + below(2 ** 31)).toString(16).padStart(8, '0'),
    cnonce: word(`${LETTERS}+/=`, 40),
    qop: pick(['auth', 'auth', undefined] as const),
    body: i % 2 === 0 ? '' : `v=0\r\n${word(LETTERS, 60)}`,
  }))
}

const CASES = makeCases(200)
const REALM = 'example.org'
const statusOf = (text: string): number => Number(text.slice(8, 11))
const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

describePeers('Kamailio and we compute the same', ['kamailio'], () => {
  describe.each(['MD5', 'SHA-256'] as const)('%s', (algorithm: HashAlgorithm) => {
    let server: Running | undefined
    let end: UdpEnd
    let address = { address: '127.0.0.2', port: 0 }
    let serial = 0

    beforeAll(async () => {
      const [a = 0, b = 0] = await freePorts(2)
      end = await openEnd({ address: '127.0.0.1', port: a })
      address = { ...address, port: b }
      server = await startKamailio(`listen=udp:${address.address}:${b}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "auth.so"
modparam("auth", "algorithm", "${algorithm}")
modparam("auth", "qop", "auth")
request_route {
  if ($hdr(Max-Forwards) == "0") { sl_send_reply("483", "Too Many Hops"); exit; }
  if (pv_www_authenticate("${REALM}", "$hdr(X-Password)", "0")) { sl_send_reply("200", "OK"); exit; }
  www_challenge("${REALM}", "1");
}
`)
    })
    afterAll(async () => {
      await server?.stop()
      end?.close()
    })

    /** What Kamailio answers to a request. */
    async function ask(given: Case, credentials: string): Promise<string> {
      const id = `case-${serial++}`
      const lines = [
        `${given.method} ${given.uri} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${end.local.port};branch=z9hG4bK${id}`,
        'Max-Forwards: 70',
        'From: <sip:a@example.org>;tag=f',
        'To: <sip:b@example.org>',
        `Call-ID: ${id}`,
        `CSeq: 1 ${given.method}`,
        `X-Password: ${latin1(given.password)}`,
        ...(credentials === '' ? [] : [`Authorization: ${credentials}`]),
        `Content-Length: ${given.body.length}`,
        '',
        given.body,
      ]
      end.send(Buffer.from(lines.join('\r\n'), 'latin1'), address)
      for (;;) {
        const back = await end.next(5000)
        if (back === undefined) throw new Error(`no answer:\n${server?.output()}`)
        if (headerOf(back.text, 'Call-ID') === id) return back.text
      }
    }

    it('accepts each of 200 responses of ours, and none with a digit changed', async () => {
      const challenged = await ask(CASES[0]!, '')
      expect(statusOf(challenged)).toBe(401)
      const { nonce = '' } = paramsOf(headerOf(challenged, 'WWW-Authenticate')!)
      const differing: string[] = []
      for (const given of CASES) {
        const { username, password, method, uri, nc, cnonce, qop, body } = given
        const ha1 = computeHa1(algorithm, username, REALM, password)
        const input = {
          algorithm,
          ha1,
          method,
          uri,
          nonce,
          nc,
          cnonce,
          qop,
          body: Buffer.from(body, 'latin1'),
        }
        const response = computeResponse(input)
        const written = (value: string): string =>
          [
            `Digest username="${latin1(username)}", realm="${REALM}", nonce="${nonce}", uri="${uri}"`,
            `response="${value}", algorithm=${algorithm}`,
            ...(qop === undefined ? [] : [`qop=${qop}, nc=${nc}, cnonce="${cnonce}"`]),
          ].join(', ')
        const changed = response.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))
        const right = statusOf(await ask(given, written(response)))
        const wrong = statusOf(await ask(given, written(changed)))
        if (right !== 200 || wrong !== 401) differing.push(`${right} ${wrong} ${JSON.stringify(given)}`)
      }
      expect(differing).toEqual([])
    })
  })
})

describePeers('Kamailio answers our challenges', ['kamailio'], () => {
  let server: Running | undefined
  let host: DigestHost | undefined
  let end: UdpEnd | undefined
  afterAll(async () => {
    await server?.stop()
    await host?.close()
    end?.close()
  })

  it.each([
    ['the password', PASSWORD, 200],
    ['another one', 'wrong', 403],
  ] as const)('with %s', async (_, password, status) => {
    const [a = 0, b = 0, c = 0] = await freePorts(3)
    await Promise.all([server?.stop(), host?.close()])
    end?.close()
    end = await openEnd({ address: '127.0.0.1', port: a })
    const kamailio = { address: '127.0.0.2', port: b }
    host = await startDigestHost({ address: '127.0.0.3', port: c }, USERS, { algorithms: ['MD5'] })
    server = await startKamailio(`listen=udp:${kamailio.address}:${b}
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "uac.so"
modparam("uac", "auth_realm_avp", "$avp(realm)")
modparam("uac", "auth_username_avp", "$avp(user)")
modparam("uac", "auth_password_avp", "$avp(password)")
request_route {
  if ($hdr(Max-Forwards) == "0") { sl_send_reply("483", "Too Many Hops"); exit; }
  $avp(realm) = "${REALM}";
  $avp(user) = "alice";
  $avp(password) = "${password}";
  $du = "sip:127.0.0.3:${c}";
  t_on_failure("AUTH");
  t_relay();
}
failure_route[AUTH] {
  if (t_check_status("401|407") && uac_auth()) { t_relay(); }
}
`)
    for (const method of ['MESSAGE', 'SUBSCRIBE', 'REGISTER'] as const) {
      const uri = method === 'REGISTER' ? 'sip:example.org' : 'sip:bob@example.com'
      const lines = [
        `${method} ${uri} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${a};branch=z9hG4bK${method}`,
        'Max-Forwards: 70',
        'From: <sip:alice@example.org>;tag=f',
        'To: <sip:alice@example.org>',
        `Call-ID: ${method}`,
        `CSeq: 1 ${method}`,
        'Content-Length: 2',
        '',
        'hi',
      ]
      end.send(Buffer.from(lines.join('\r\n'), 'latin1'), kamailio)
      let answer = ''
      while (!/^SIP\/2\.0 [2-6]/.test(answer) || headerOf(answer, 'Call-ID') !== method) {
        const back = await end.next(5000)
        if (back === undefined) throw new Error(`no answer:\n${server.output()}`)
        answer = back.text
      }
      expect(answer.slice(0, 11)).toBe(`SIP/2.0 ${status}`)
    }
  })
})
