/**
 * Kamailio's auth_db and our stage over one table of accounts.
 */
import type { HashAlgorithm } from '../../src/digest/algorithm.ts'
import type { CredentialStore } from '../../src/digest/credential-store.ts'
import { createNonces } from '../../src/digest/nonce.ts'
import type { Endpoint } from '../../src/message/types.ts'
import type { Verdict } from '../../src/pipeline/stage.ts'
import { verifyUser } from '../../src/pipeline/verify-user.ts'
import { createMemoryClaims } from '../../src/stores/claim-memory.ts'
import { nonceRing } from '../digest/stage.ts'
import { contextOf } from '../support/messages.ts'
import { freePorts, startKamailio } from '../support/peers.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { DOMAINS, requestOf, UNCHECKED_METHOD, type AuthCase } from './digest-cases.ts'
import { headerOf, openEnd } from './endpoint.ts'

/** How the table is looked at. */
export interface AuthDbOptions {
  readonly algorithm: HashAlgorithm
  /** Of Kamailio: `calculate_ha1` 1, or 0. */
  readonly secret: 'password' | 'hash'
  /** Of Kamailio: `use_domain` 1, or 0. */
  readonly key: 'username and domain' | 'username'
  /** What the challenge offers. */
  readonly qop: 'auth' | 'none'
}

/** One who judges cases. */
export interface Judge {
  /** Whether each request of the case is accepted. */
  judge(given: AuthCase): Promise<readonly boolean[]>
  close(): Promise<void>
}

const config = (local: Endpoint, url: string, { algorithm, secret, key, qop }: AuthDbOptions): string => {
  const column = algorithm === 'MD5' ? ['ha1', 'ha1b'] : ['ha1_sha256', 'ha1b_sha256']
  const [plain, full] = secret === 'password' ? ['password', 'password'] : column
  return `listen=udp:${local.address}:${local.port}
auto_aliases=no
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "${url.startsWith('postgres') ? 'db_postgres' : 'db_mysql'}.so"
loadmodule "auth.so"
loadmodule "auth_db.so"
modparam("auth", "algorithm", "${algorithm}")
modparam("auth", "qop", "auth")
modparam("auth_db", "db_url", "${url}")
modparam("auth_db", "calculate_ha1", ${secret === 'password' ? 1 : 0})
modparam("auth_db", "use_domain", ${key === 'username' ? 0 : 1})
modparam("auth_db", "password_column", "${plain}")
modparam("auth_db", "password_column_2", "${full}")
request_route {
  if ($hdr(Max-Forwards) == "0") { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_present_hf("X-Challenge")) { www_challenge("$fd", "${qop === 'auth' ? 1 : 0}"); exit; }
  if (is_method("${UNCHECKED_METHOD}")) proxy_authenticate("$fd", "subscriber");
  else auth_check("$fd", "subscriber", "1");
  if ($rc > 0) sl_send_reply("200", "OK");
  else sl_send_reply("403", "Forbidden");
}
`
}

/** Kamailio over the database. @param url as Kamailio writes one: its passwords have no escapes */
export async function startAuthDb(url: string, options: AuthDbOptions): Promise<Judge> {
  const [a = 0, b = 0] = await freePorts(2)
  const local = { address: '127.0.0.2', port: a }
  const server = await startKamailio(config(local, url, options))
  const end = await openEnd({ address: '127.0.0.1', port: b })
  const via = `127.0.0.1:${b}`
  const challenges = new Map<string, string>()
  let asked = 0

  async function ask(bytes: Buffer, id: string): Promise<string> {
    end.send(bytes, local)
    for (;;) {
      const back = await end.next(5000)
      if (back === undefined) throw new Error(`no answer to\n${bytes.toString('latin1')}\n${server.output()}`)
      if (headerOf(back.text, 'Call-ID') === id) return back.text
    }
  }

  async function challengeOf(given: AuthCase): Promise<string> {
    const known = challenges.get(given.domain)
    if (known !== undefined) return known
    const id = `challenge-${asked++}`
    const bytes = requestOf(given, undefined, id, via).toString('latin1')
    const answer = await ask(Buffer.from(bytes.replace('\r\n', '\r\nX-Challenge: yes\r\n'), 'latin1'), id)
    const challenge = headerOf(answer, 'WWW-Authenticate')
    if (challenge === undefined) throw new Error(`no challenge:\n${answer}`)
    challenges.set(given.domain, challenge)
    return challenge
  }

  return {
    async judge(given) {
      const challenge = await challengeOf(given)
      const results: boolean[] = []
      for (let i = 0; i < given.times; i++) {
        const id = `case-${asked++}`
        const answer = await ask(requestOf(given, challenge, id, via), id)
        results.push(answer.startsWith('SIP/2.0 200 '))
      }
      return results
    },
    async close() {
      end.close()
      await server.stop()
      // It refuses where it cannot ask its database.
      const faults = /^.*ERROR: (?:auth_db|db_\w+) .*$/m.exec(server.output())
      if (faults !== null) throw new Error(faults[0])
    },
  }
}

const monotonic = (): number => performance.now()

/** Our stage over a store. */
export function createOurJudge(credentials: CredentialStore, { algorithm, qop }: AuthDbOptions): Judge {
  const stage = verifyUser({
    credentials,
    domains: DOMAINS,
    algorithms: [algorithm],
    qop: qop === 'auth' ? ['auth'] : [],
    nonces: createNonces({ keyring: nonceRing(SECRETS.old), group: 'nonces', time: Date.now }),
    claims: createMemoryClaims({ capacity: 10_000, since: new Date(0), monotonic }),
    identity: { [UNCHECKED_METHOD]: [] },
    monotonic,
  })
  let asked = 0
  const ask = async (given: AuthCase, challenge: string | undefined): Promise<Verdict> =>
    stage.judge(contextOf(requestOf(given, challenge, `case-${asked++}`, '127.0.0.1:5060')))

  return {
    async judge(given) {
      const first = await ask(given, undefined)
      if (first.verdict !== 'challenge') throw new Error(`no challenge but ${JSON.stringify(first)}`)
      const results: boolean[] = []
      for (let i = 0; i < given.times; i++) {
        const verdict = await ask(given, first.headers[0]![1])
        if (verdict.verdict === 'reject' && verdict.status === 503)
          throw new Error(`we cannot judge ${given.kind}: ${verdict.reason}`)
        results.push(verdict.verdict === 'accept')
      }
      return results
    },
    async close() {},
  }
}
