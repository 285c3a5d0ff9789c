import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { secretsOf } from '../../src/stores/account-change.ts'
import { openSqlAccounts } from '../../src/stores/sql-accounts.ts'
import { openSqlCredentials } from '../../src/stores/sql-credentials.ts'
import { computeHa1 } from '../../src/digest/response.ts'
import { answerTo } from '../digest/client.ts'
import {
  createKamailioTables,
  DATABASE_PROGRAMS,
  startDatabase,
  type TestDatabase,
} from '../support/databases.ts'
import { describePeers, freePorts, startKamailio, type Running } from '../support/peers.ts'
import { openPeer, type UdpPeer } from '../support/udp-peer.ts'

const REALM = 'sip.example'
const MODULES = { mysql: 'db_mysql.so', postgres: 'db_postgres.so' }

/** Kamailio authenticates by the module auth_db from the same table that we write and read. */
describe.each(['mysql', 'postgres'] as const)('Kamailio and we share a table in %s', (engine) => {
  describePeers(engine, ['kamailio', ...DATABASE_PROGRAMS[engine]], () => {
    let database: TestDatabase
    let server: Running | undefined
    let peer: UdpPeer
    let port = 0
    let serial = 0

    beforeAll(async () => {
      database = await startDatabase(engine)
      await createKamailioTables(database)
      const accounts = await openSqlAccounts({ url: database.url, timeoutMs: 15_000 }, 'write')
      const name = { username: 'alice', domain: REALM, realm: REALM }
      const account = { ...name, secrets: secretsOf(name, 'correct horse', 'hashes') }
      await accounts.change([{ change: 'add', account }], 'make')
      await accounts.close()
      peer = await openPeer()
      ;[port = 0] = await freePorts(1)
      server = await startKamailio(`listen=udp:127.0.0.2:${port}
loadmodule "${MODULES[engine]}"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "auth.so"
loadmodule "auth_db.so"
modparam("auth", "qop", "auth")
modparam("auth_db", "db_url", "${database.kamailioUrl}")
modparam("auth_db", "use_domain", 1)
request_route {
  if ($hdr(Max-Forwards) == "0") { sl_send_reply("483", "Too Many Hops"); exit; }
  if (www_authenticate("${REALM}", "subscriber")) { sl_send_reply("200", "OK"); exit; }
  if ($hdr(Authorization) != $null) { sl_send_reply("403", "Forbidden"); exit; }
  www_challenge("${REALM}", "1");
}
`)
    })
    afterAll(async () => {
      await server?.stop()
      await peer?.close()
      await database?.close()
    })

    async function register(credentials: string): Promise<string> {
      const id = `register-${serial++}`
      const lines = [
        'REGISTER sip:example.org SIP/2.0',
        `Via: SIP/2.0/UDP ${peer.at};branch=z9hG4bK${id}`,
        'Max-Forwards: 70',
        `From: <sip:alice@${REALM}>;tag=f`,
        `To: <sip:alice@${REALM}>`,
        `Call-ID: ${id}`,
        'CSeq: 1 REGISTER',
        ...(credentials === '' ? [] : [`Authorization: ${credentials}`]),
        'Content-Length: 0',
      ]
      await peer.send(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), { address: '127.0.0.2', port })
      return (await peer.receive()).text
    }

    it.each([
      ['its name', 'alice', 'correct horse', 200],
      ['its name and domain', `alice@${REALM}`, 'correct horse', 200],
      ['another password', 'alice', 'wrong', 403],
      ['a name that is nobody', 'mallory', 'correct horse', 403],
    ])('by %s', async (_, username, password, status) => {
      const [, challenge = ''] = /^WWW-Authenticate: (.*)$/m.exec(await register('')) ?? []
      const answer = await register(answerTo(challenge, { username, password }))
      expect(answer).toMatch(new RegExp(`^SIP/2.0 ${status} `))
    })

    it('and we find the HA1 that Kamailio does', async () => {
      const store = await openSqlCredentials({
        url: database.url,
        timeoutMs: 15_000,
        subscriber: { uriTable: 'uri' },
      })
      for (const username of ['alice', `alice@${REALM}`]) {
        const account = await store.find({ username, realm: REALM, algorithm: 'MD5' })
        expect(account?.ha1?.export()).toEqual(computeHa1('MD5', username, REALM, 'correct horse'))
      }
      await store.close()
    })
  })
})
