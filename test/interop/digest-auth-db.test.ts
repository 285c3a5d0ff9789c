import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openSqlCredentials } from '../../src/stores/sql-credentials.ts'
import { DATABASE_PROGRAMS, startDatabase, type TestDatabase } from '../support/databases.ts'
import { describeWith } from '../support/deploy-programs.ts'
import { tempFolder } from '../support/peers.ts'
import { xkeys } from '../support/xkeys.ts'
import { KIND_NAMES, makeCases, makeSubscribers } from './digest-cases.ts'
import { createOurJudge, startAuthDb, type AuthDbOptions } from './digest-judges.ts'
import { fillSubscriber, kamailioUrl } from './users-databases.ts'

/** Who accepts what the other one refuses, and why that is meant to be so. */
interface Difference {
  readonly accepted: 'by Kamailio' | 'by us'
  readonly why: string
  /** How often, in all cases of an engine; one number where they do not differ. */
  readonly count: number | Readonly<Record<Engine, number>>
}

type Engine = 'mysql' | 'postgres'

/** Everything that may differ; all else must not. */
const DIFFERENCES: Readonly<Record<string, Difference>> = {
  'another digest-uri': {
    accepted: 'by Kamailio',
    why: 'it does not compare the digest-uri with the Request-URI: an answer serves for a call to anybody',
    count: 14,
  },
  'the same count again': {
    accepted: 'by Kamailio',
    why: 'without nonce_count it lets a captured request in again',
    count: 15,
  },
  'right, without qop': {
    accepted: 'by Kamailio',
    why: 'we offered qop: who answers as in RFC 2069 can be replayed, and may be attacked (RFC 7616 §5.6)',
    count: 12,
  },
  'nonce count is no number': {
    accepted: 'by Kamailio',
    why: 'it does not read a count that it does not count',
    count: 10,
  },
  'nonce count of two digits': {
    accepted: 'by Kamailio',
    why: 'a count has 8 digits (RFC 7616 §3.4); we would have to take 1 and 01 for one count',
    count: 9,
  },
  'nonce count changed': {
    accepted: 'by Kamailio',
    why: 'where no qop is offered, a count is half an answer: qop, nc and cnonce come together or not at all',
    count: 4,
  },
  'cnonce changed': {
    accepted: 'by Kamailio',
    why: 'likewise',
    count: 5,
  },
  'another algorithm': {
    accepted: 'by Kamailio',
    why: 'it does not look at the algorithm that the client says it used; ours must be that of the nonce',
    count: 17,
  },
  'session algorithm': {
    accepted: 'by Kamailio',
    why: 'likewise: the response is not that of a -sess algorithm',
    count: 17,
  },
  'no algorithm': {
    accepted: 'by Kamailio',
    why: 'likewise: an answer without one is MD5 (RFC 7616 §3.3)',
    count: 4,
  },
  'name with another domain': {
    accepted: 'by Kamailio',
    why: 'with use_domain 0 and calculate_ha1 1 it takes any domain behind the name',
    count: 4,
  },
  'name and From in capitals': {
    accepted: 'by Kamailio',
    why: 'with calculate_ha1 1 a database that does not tell case apart finds the account of another name',
    count: { mysql: 5, postgres: 0 },
  },
  'right, escaped name': {
    accepted: 'by us',
    why: 'it hashes a quoted-pair as it stands; what is meant is the text without backslashes (RFC 3261 §25.1)',
    count: 15,
  },
  'response in capitals': {
    accepted: 'by us',
    why: 'digits are compared as numbers; a few old telephones send capitals',
    count: 13,
  },
  'name with a colon': {
    accepted: 'by us',
    why: 'it cuts the name at the colon',
    count: 5,
  },
  'To of somebody else': {
    accepted: 'by us',
    why: 'of a PUBLISH the Request-URI says what is published (RFC 3903 §6): To is only looked at in a REGISTER',
    count: 1,
  },
}

const ALL: readonly AuthDbOptions[] = (['MD5', 'SHA-256'] as const).flatMap((algorithm) =>
  (['hash', 'password'] as const).flatMap((secret) =>
    (['username and domain', 'username'] as const).flatMap((key) =>
      (['auth', 'none'] as const).map((qop) => ({ algorithm, secret, key, qop })),
    ),
  ),
)
/** Telephones that know no qop know no SHA-256 either. */
const CONFIGURATIONS = ALL.filter(({ qop, algorithm }) => qop === 'auth' || algorithm === 'MD5')
/** Of each configuration. */
const CASES = 50
const { plain, odd, twins } = makeSubscribers()

for (const engine of ['mysql', 'postgres'] as const) {
  describeWith(
    `auth_db of Kamailio and we over one ${engine}`,
    ['kamailio', ...DATABASE_PROGRAMS[engine]],
    () => {
      let database: TestDatabase
      let theirUrl: string
      const differing = new Map<string, number>()
      let accepted = 0
      let seed = 1

      beforeAll(async () => {
        database = await startDatabase(engine)
        await fillSubscriber(database, [...plain, ...odd, ...twins])
        theirUrl = await kamailioUrl(database)
      }, 60_000)
      afterAll(() => database?.close())

      it.each(CONFIGURATIONS)(
        '$algorithm, qop $qop, account by $key, from the $secret: one verdict',
        async (options) => {
          const credentials = await openSqlCredentials({
            url: database.url,
            subscriber: {
              calculateHa1: options.secret === 'password',
              useDomain: options.key !== 'username',
            },
          })
          const ours = createOurJudge(credentials, options)
          const theirs = await startAuthDb(theirUrl, options)
          const unexcused: string[] = []
          // By name alone nobody can tell twins apart.
          const accounts = options.key === 'username' ? plain : [...plain, ...twins]
          for (const given of makeCases({ ...options, count: CASES, seed: seed++, plain: accounts, odd })) {
            const [byUs, byKamailio] = [await ours.judge(given), await theirs.judge(given)]
            if (byUs[0] && byKamailio[0]) accepted++
            const at = byUs.findIndex((verdict, i) => verdict !== byKamailio[i])
            if (at < 0) continue
            const who = byUs[at] ? 'by us' : 'by Kamailio'
            const name = Object.entries(DIFFERENCES).find(
              ([kind, { accepted: by }]) => by === who && given.kind.includes(kind),
            )?.[0]
            if (name === undefined) unexcused.push(`accepted ${who}: ${JSON.stringify(given)}`)
            else differing.set(name, (differing.get(name) ?? 0) + 1)
          }
          await theirs.close()
          await credentials.close()
          expect(unexcused).toEqual([])
        },
        60_000,
      )

      it.each(['MD5', 'SHA-256'] as const)(
        'what xkeys user add writes, Kamailio reads: %s',
        async (algorithm) => {
          const added = {
            username: `added-${algorithm.toLowerCase()}`,
            domain: 'example.org',
            password: 'pässword; €',
          }
          const place = new URL(database.url)
          const env = { DATABASE: decodeURIComponent(place.password) }
          place.password = ''
          const name = `${added.username}@${added.domain}`
          const words = ['--accounts', place.href, '--db-password', 'env:DATABASE', '--password-file', '-']
          const stdin = Buffer.from(`${added.password}\n`)
          expect(
            await xkeys(['user', 'add', name, ...words], { cwd: tempFolder(), env, stdin }),
          ).toMatchObject({ exit: 0 })
          const [right] = makeCases({ count: 1, seed: 1, plain: [added], odd: [], qop: 'auth' })
          const theirs = await startAuthDb(theirUrl, {
            algorithm,
            secret: 'hash',
            key: 'username and domain',
            qop: 'auth',
          })
          expect(await theirs.judge(right!)).toEqual([true])
          expect(
            await theirs.judge({ ...right!, answer: { ...right!.answer, password: 'another' } }),
          ).toEqual([false])
          await theirs.close()
        },
        30_000,
      )

      it('accepts some, and differs as often as is told', () => {
        const told = Object.entries(DIFFERENCES).map(([name, { count }]) => [
          name,
          typeof count === 'number' ? count : count[engine],
        ])
        expect(Object.fromEntries(differing)).toEqual(
          Object.fromEntries(told.filter(([, count]) => count !== 0)),
        )
        expect(accepted).toBeGreaterThan(100)
      })
    },
  )
}

it('differs as docs/kamailio.md tells', () => {
  const document = readFileSync(new URL('../../docs/kamailio.md', import.meta.url), 'utf8')
  const [, section = ''] = document.split('## Deliberate differences of digest\n')
  const told = section
    .split('\n')
    .filter((line) => / \d+ \|$/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, name, accepted, why, count]) => [name, { accepted, why, count }])
  const counted = Object.entries(DIFFERENCES).map(([name, { accepted, why, count }]) => {
    const each = Object.entries(count).map((pair) => pair.join(' '))
    return [name, { accepted, why, count: typeof count === 'number' ? String(count) : each.join(', ') }]
  })
  expect(Object.fromEntries(told)).toEqual(Object.fromEntries(counted))
})

it('is asked in every way in each configuration', () => {
  for (const [i, { qop }] of CONFIGURATIONS.entries()) {
    const cases = makeCases({ count: CASES, seed: i + 1, plain, odd, qop })
    const kinds = new Set(cases.map(({ kind }) => kind.replace(', name with a colon', '')))
    expect([...kinds].toSorted()).toEqual([...KIND_NAMES].toSorted())
  }
  expect(CASES * CONFIGURATIONS.length).toBeGreaterThanOrEqual(500)
})
