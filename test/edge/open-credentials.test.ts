import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { openCredentials, type EdgeCredentials } from '../../src/edge/open-credentials.ts'
import { createSubscribers } from '../support/accounts.ts'
import {
  DATABASE_PROGRAMS,
  makeCertificate,
  startDatabase,
  type TestCertificate,
  type TestDatabase,
} from '../support/databases.ts'
import { folderWith } from '../support/folder.ts'
import { describePeers } from '../support/peers.ts'

const HEAD = `keyring = "k.toml"
[listen]
trunk = "127.0.0.1:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5080"
[users]
domains = ["example.org"]
nonce_group = "nonces"
[users.credentials]
`

/** Opens what the lines of `[users.credentials]` say; it closes with the test. */
async function open(
  lines: string,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<EdgeCredentials> {
  const { users } = parseEdgeConfig(HEAD + lines)
  const opened = await openCredentials(users!.credentials, { env, folder, onState: () => {} })
  onTestFinished(() => opened.close())
  return opened
}

describe.each(['mysql', 'postgres'] as const)('accounts in %s over TLS', (engine) => {
  describePeers(engine, ['openssl', ...DATABASE_PROGRAMS[engine]], () => {
    let database: TestDatabase
    let own: TestCertificate
    let other: TestCertificate
    beforeAll(async () => {
      ;[own, other] = [makeCertificate('localhost'), makeCertificate('localhost')]
      database = await startDatabase(engine, own)
      await createSubscribers(database)
    })
    afterAll(() => database?.close())

    /** Looks alice up with options of the driver; its password comes from the environment. */
    async function find(driver: string): Promise<unknown> {
      const url = new URL(database.url)
      const env = { DB_PASSWORD: decodeURIComponent(url.password) }
      url.password = ''
      url.hostname = 'localhost'
      const folder = folderWith({ 'own.pem': own.cert, 'other.pem': other.cert })
      const lines = `source = "${url.href}"\npassword = "env:DB_PASSWORD"\ntimeout = 15\nsql.table = "accounts"\n${driver}`
      const { credentials } = await open(lines, folder, env)
      if (!('find' in credentials)) throw new Error('it is no store')
      return credentials.find({ username: 'alice', realm: 'example.org', algorithm: 'MD5' })
    }

    it('are found where the driver is told their authority', async () => {
      expect(await find('driver.ssl = { ca = "file:own.pem", verifyIdentity = true }')).toMatchObject({
        username: 'alice',
      })
    })

    it('are not looked up at a server of another authority', async () => {
      await expect(find('driver.ssl.ca = "file:other.pem"')).rejects.toMatchObject({ fault: 'lost' })
    })
  })
})
