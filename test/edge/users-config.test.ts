import { describe, expect, it } from 'vitest'
import { explainConfig } from '../../src/edge/config-words.ts'
import { userWarnings } from '../../src/edge/config-users-words.ts'
import { parseEdgeConfig, type EdgeConfig } from '../../src/edge/config.ts'
import { ConfigError, formatIssue } from '../../src/errors.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { usersKeyring } from '../support/users-rig.ts'

const HEAD = `keyring = "k.toml"
[listen]
trunk = "127.0.0.1:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5080"
[agreements.main]
header = "X-Auth"
group = "trunk-a"
algorithm = "hmac-sha256"
request = "$ci"
[trunks.carrier]
sources = ["192.0.2.0/24"]
target = "192.0.2.1:5060"
agreement = "main"
`
const LINES = HEAD.split('\n').length - 1

const configOf = (users: string): EdgeConfig => parseEdgeConfig(HEAD + users)

/** What is wrong with `[users]`; lines are counted from its first. */
function faults(users: string): readonly string[] {
  try {
    configOf(users)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.issues.map(({ line, ...rest }) =>
      formatIssue({ ...rest, ...(line !== undefined && { line: line - LINES }) }),
    )
  }
}

const doubts = (users: string): readonly string[] =>
  configOf(users)
    .warnings.filter(({ path }) => path.startsWith('users.'))
    .map(({ path, message }) => `${path}: ${message}`)

const PLAIN = '[users]\ndomains = ["example.org"]\nnonce_group = "nonces"\nalgorithms = ["SHA-256"]\n'
const FILE = '[users.credentials]\nsource = "users.toml"\n'

describe('[users]', () => {
  it('has what the stages take, in milliseconds', () => {
    const { users } = configOf(
      `${PLAIN}realm = "strip:sip."
nonce_lifetime = 60
nonce_binding = ["source", "call-id"]
in_dialog = "route"
[[users.quirks]]
user_agent = "Zoiper"
algorithms = ["MD5"]
[users.realms."old.example.org"]
qop = []
[users.identity]
INVITE = ["preferred"]
[users.failures]
half_life = 1.5
ban = 20
allow = ["198.51.100.0/24"]
${FILE}`,
    )
    expect(users).toMatchObject({
      stage: {
        realm: { kind: 'domain', strip: 'sip.' },
        quirks: [{ userAgent: 'Zoiper', algorithms: ['MD5'] }],
        realms: { 'old.example.org': { qop: [] } },
        identity: { INVITE: ['preferred'] },
        terminates: ['REGISTER'],
      },
      inDialog: 'route',
      strangers: 'refuse',
      nonces: { group: 'nonces', lifetime: 60_000, maxDrift: 3000, bind: ['source', 'call-id'] },
      failures: {
        perSource: 20,
        halfLife: 1500,
        ban: 20_000,
        allow: [{ address: '198.51.100.0', prefix: 24 }],
      },
      claims: { capacity: 200_000 },
      credentials: { kind: 'toml', source: 'users.toml', cache: undefined },
    })
  })

  it('tells everything that is wrong at once, by its name and line', () => {
    expect(
      faults(`[users]
domains = ["*", "example.org"]
registrar_domains = ["a..b"]
realm = "pattern:("
nonce_group = "Trunk-A"
algorithms = ["SHA-256-sess", "MD6"]
qop = []
trusted = ["nobody"]
[users.realms."a.example"]
algorithms = []
[users.realms."b.example"]
qop = ["auth", "aut"]
[[users.quirks]]
user_agent = "x"
[[users.quirks]]
user_agent = ""
algorithms = ["MD5-sess"]
qop = []
[users.identity]
invite = ["from"]
[users.failures]
allow = ["192.0.2.1:5060"]
[users.claims]
capacity = 1
[users.credentials]
source = "mysql://xkeys:secret@db/kamailio"
password = "secret"
[users.credentials.sql]
table = "subscriber; drop"
status_column = "status"
status_active = []
[users.credentials.sql.columns]
ha1_sha256 = "a b"`),
    ).toMatchInlineSnapshot(`
      [
        "line 2: users.domains[0]: "*" would fit domains of anybody: name at least one label",
        "line 3: users.registrar_domains[0]: "a..b" is no domain: a wildcard stands for a whole label, as in *.example.org",
        "line 4: users.realm: error parsing regexp: missing closing ): \`(\`",
        "line 5: users.nonce_group: it is the group of agreement main: its peer could make nonces and flow tokens",
        "line 6: users.algorithms[1]: it must be one of "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"; did you mean "MD5"?",
        "line 7: users.qop: must not be empty with SHA-256-sess",
        "line 8: users.trusted[0]: "nobody" is not an IP address, network or address:port",
        "line 10: users.realms."a.example".algorithms: is empty: nothing could be answered",
        "line 12: users.realms."b.example".qop[1]: it must be one of "auth", "auth-int"; did you mean "auth"?",
        "line 13: users.quirks[0].qop: must not be empty with SHA-256-sess",
        "line 16: users.quirks[1].user_agent: it is empty",
        "line 18: users.quirks[1].qop: must not be empty with MD5-sess",
        "line 20: users.identity.invite: a method is written in capital letters",
        "line 22: users.failures.allow[0]: a port says nothing here: bans are on addresses",
        "line 24: users.claims.capacity: it must be a whole number from 1000 to 100000000, is 1",
        "line 26: users.credentials.source: it holds a password: say password = "env:NAME" or "file:PATH"",
        "line 27: users.credentials.password: it must be env:NAME or file:PATH: no secret stands in this file",
        "line 29: users.credentials.sql.table: must be a name of letters, digits and _, at most 63, not beginning with a digit",
        "line 31: users.credentials.sql.status_active: lists no value: no account would be active",
        "line 33: users.credentials.sql.columns.ha1_sha256: must be a name of letters, digits and _, at most 63, not beginning with a digit",
      ]
    `)
  })

  it('is enough without a trunk; an empty table of trunks is not meant', () => {
    const alone = HEAD.slice(0, HEAD.indexOf('[agreements'))
    expect(parseEdgeConfig(alone + PLAIN + FILE).trunks).toEqual([])
    expect(() => parseEdgeConfig(`${alone}${PLAIN}${FILE}[trunks]`)).toThrow('trunks: there is no trunk')
    expect(() => parseEdgeConfig(alone)).toThrow('agreements: it is missing\ntrunks: it is missing')
  })

  it('is a table of its own: where it is, domains, group and accounts must be', () => {
    expect(faults('[users]\n')).toEqual([
      'line 1: users.domains: it is missing',
      'line 1: users.nonce_group: it is missing',
      'line 1: users.credentials: it is missing',
    ])
  })

  it.each([
    ['gopher://x', 'line 6: users.credentials.source: its scheme is not known'],
    ['postgres://user:pw@host/db', 'line 6: users.credentials.source: it holds a password'],
    ['sqlite:', 'line 6: users.credentials.source: must name a file'],
    ['https://user:pw@host/', 'line 6: users.credentials.source: must not hold a user or password'],
  ])('refuses %s as the source of accounts, and repeats no password', (source, message) => {
    const found = faults(`${PLAIN}[users.credentials]\nsource = "${source}"`)
    expect(found).toEqual([expect.stringContaining(message)])
    expect(found.join()).not.toContain('pw')
  })

  it('refuses a SELECT of services that cannot be', () => {
    expect(
      faults(
        `${PLAIN}[users.credentials]\nsource = "mysql://u:pw@db/k"\n[users.credentials.http]\ngives = "password"\nhooks_query = "delete from t where r = :relm;;x"\nhooks = { "a.example" = "https://a.example/" }`,
      ),
    ).toEqual([
      'line 6: users.credentials.source: it holds a password: say password = "env:NAME" or "file:PATH"',
      'line 8: users.credentials.http.gives: it must be "decision": hooks_query finds services that decide',
      'line 9: users.credentials.http.hooks_query: has more than one statement',
      'line 9: users.credentials.http.hooks_query: has more than one statement',
      'line 9: users.credentials.http.hooks_query: :relm is not known: did you mean :realm?',
      'line 9: users.credentials.http.hooks_query: must be one SELECT',
      'line 9: users.credentials.http.hooks_query: asks for nobody: bind :realm',
      'line 10: users.credentials.http.hooks: it stands beside hooks_query: give only one of them',
    ])
    expect(
      faults(
        `${PLAIN}[users.credentials]\nsource = "https://h.example/"\nhttp = { hooks_query = "select url from h where r = :realm", method = "GET", signing_secret = "env:S" }`,
      ),
    ).toEqual([
      'line 7: users.credentials.http.hooks_query: it asks a database: source names none',
      'line 7: users.credentials.http.signing_secret: it signs a body: a GET has none',
    ])
  })

  it('refuses a password for the driver of a database', () => {
    const found = faults(
      `${PLAIN}[users.credentials]\nsource = "mysql://u@db/k"\ndriver = { password = "pw", ssl = {} }`,
    )
    expect(found).toEqual([
      'line 7: users.credentials.driver.password: it must be env:NAME or file:PATH: no secret stands in this file',
    ])
  })
})

describe('what is legal and hardly meant', () => {
  it.each([
    ['nothing of the plain', '', []],
    [
      'MD5 beside stronger algorithms',
      'qop = ["auth"]\n[[users.quirks]]\nuser_agent = "x"\nalgorithms = ["MD5", "SHA-256"]',
      [expect.stringMatching(/^users\.quirks\[0\]\.algorithms: offers MD5 before SHA-256/)],
    ],
    [
      'trusted networks that are wide, or hold a trunk',
      'trusted = ["192.0.0.0/8"]',
      [
        expect.stringMatching(/^users\.trusted\[0\]: 192\.0\.0\.0\/8 is a wide network/),
        expect.stringMatching(/^users\.trusted\[0\]: 192\.0\.0\.0\/8 holds sources of trunk carrier/),
      ],
    ],
  ])('is told: %s', (_, lines, expected) => {
    expect(doubts(`${PLAIN}${lines}\n${FILE}`)).toEqual(expected)
  })

  it.each([
    [
      'source = "sqlite:a.db"\nsql.calculate_ha1 = true',
      'users.credentials.sql.calculate_ha1: passwords stand in the database as plain text: store hashes',
    ],
    [
      'source = "users.toml"\nsql.table = "t"',
      'users.credentials.sql: it says nothing: users.toml is no database',
    ],
    [
      'source = "users.toml"\nhttp.gives = "ha1"',
      'users.credentials.http: it says nothing: users.toml is no service',
    ],
    [
      'source = "users.toml"\npassword = "env:X"',
      'users.credentials.password: it says nothing: a file has none',
    ],
    [
      'source = "sqlite:a.db"\ndriver.ssl.ca = "file:ca.pem"',
      'users.credentials.driver: it says nothing: source is no database server',
    ],
    [
      'source = "mysql://u@db/k"\nsql.table = "t"\nhttp.hooks_query = "select url from h where r = :realm"',
      'users.credentials.sql: it says nothing: hooks_query finds services, and no accounts',
    ],
    [
      'source = "users.toml"\nhttp.hooks_query = "select url from h where r = :realm"',
      'users.credentials.http: it says nothing: users.toml is no service',
    ],
    [
      'source = "mysql://u@db/k"\nusername = "x"\nhttp.hooks_query = "select url from h where r = :realm"',
      'users.credentials.username: it says nothing: that of a database stands in its URL, that of a service in its row',
    ],
    [
      'source = "http://hook.example/"',
      'users.credentials.source: what is asked and answered is not encrypted: use https, or a network of your own',
    ],
  ])('is told of accounts: %s', (lines, expected) => {
    expect(doubts(`${PLAIN}[users.credentials]\n${lines}`)).toEqual([expected])
  })

  it('is told of a group of nonces that makes none', () => {
    const { users } = configOf(PLAIN + FILE)
    const later = createKey({ name: 'n', secret: SECRETS.other, activeFrom: new Date('2100-01-01') })
    const ring = createKeyring([['nonces', [later]]])
    expect(userWarnings(users, ring, new Date()).map(formatIssue)).toEqual([
      'users.nonce_group: no key of "nonces" makes nonces now: nobody can be challenged',
    ])
    expect(userWarnings(users, usersKeyring(), new Date())).toEqual([])
  })
})

const wordsOf = (users: string): string =>
  explainConfig(configOf(users), usersKeyring(), new Date('2026-11-21')).join('\n').split('Users:\n')[1]!

describe('in words', () => {
  it('says what becomes of phones', () => {
    expect(wordsOf(PLAIN + FILE)).toMatchInlineSnapshot(`
      "  domains    example.org
        realm      the domain of each request
        accounts   in users.toml
                   read at the start, and again on SIGHUP
        challenge  401 for REGISTER, 407 for others; offers SHA-256 with qop auth
        nonces     for 300 s, bound to the realm and source, by group nonces
                   n0 makes them; accepted under n0
        dialogs    requests in a dialog are challenged; the ACK of a call passes by its route
        strangers  requests from other domains are refused
        failures   a wrong answer is 403
                   20 of one source ban it for 600 s; 50 of one user ban strangers to it
        scanners   dropped by name: friendly-scanner, sipvicious, sipcli, vaxsipuseragent, vaxipuseragent, pplsip, sundayddr, sivus, sip-scan
        bounds     2000 requests a second are judged, half of them from unknown addresses; 2000 wait at once, 200 of one source; 200000 nonce counts, 20000 INVITEs are remembered"
    `)
  })

  it('says everything that differs, and no secret', () => {
    const words = wordsOf(
      `${PLAIN}realm = "pattern:@(.*)"
registrar_domains = ["reg.example"]
nonce_binding = ["source"]
in_dialog = "route"
strangers = "forward"
on_failure = "challenge"
trusted = ["10.0.0.8"]
scanners = []
[users.realms.old]
algorithms = ["MD5"]
[[users.quirks]]
user_agent = "x"
qop = []
[users.identity]
MESSAGE = []
PUBLISH = ["from", "request-uri"]
[users.failures]
allow = ["10.0.0.0/8"]
[users.credentials]
source = "https://hook.example/path?key=hidden"
http.hooks = { "a.example" = "https://a.example/hook" }`,
    )
    expect(words).not.toContain('hidden')
    expect(words).toMatchInlineSnapshot(`
      "  domains    example.org
                   registrations are taken for reg.example
        realm      what @(.*) finds first in user@domain
        accounts   nowhere here: https://hook.example decides, others for a.example
                   asked for at most 2 s, then 503; nothing is remembered
        challenge  401 for REGISTER, 407 for others; offers SHA-256 with qop auth
                   in realm old: MD5 with qop auth
                   to "x": SHA-256 with no qop
        nonces     for 300 s, bound to the realm and source, by group nonces
                   n0 makes them; accepted under n0
                   who sends MESSAGE may name anybody as its sender
                   in PUBLISH from and request-uri must name the account
        dialogs    requests in a dialog pass by the token in their route, from the address it was made for
        strangers  requests from other domains to ours go to the upstream, and nobody knows who sent them
        trusted    10.0.0.8: never challenged but for REGISTER
        failures   a wrong answer is challenged again
                   20 of one source ban it for 600 s; 50 of one user ban strangers to it
                   never banned: 10.0.0.0/8
        scanners   nobody is dropped by name
        bounds     2000 requests a second are judged, half of them from unknown addresses; 2000 wait at once, 200 of one source; 200000 nonce counts, 20000 INVITEs are remembered"
    `)
  })

  it.each([
    ['source = "flexisip:accounts"', 'in accounts, as Flexisip writes them'],
    ['source = "mysql://u@db/k"', 'in mysql://u@db/k, by table subscriber'],
    ['source = "mysql://u@db/k"\nsql.query = "select a from t where u = :id"', 'by a query of your own'],
    [
      'source = "mysql://u@db/k"\ndriver = { socketPath = "env:SOCKET", ssl = {} }',
      'its driver is told socketPath, ssl',
    ],
    [
      'source = "mysql://u@db/k"\ndriver.ssl = {}\nhttp.hooks_query = "select url from h where r = :realm"',
      `nowhere here: services decide that mysql://u@db/k names by realm
             its driver is told ssl
             asked for at most 2 s, then 503; which service is remembered for 300 s, what is not there for 10 s`,
    ],
    ['source = "mysql://u@db/k"\ncache_found = 0', 'asked for at most 2 s, then 503; nothing is remembered'],
    [
      'source = "https://p.example/{username}"\nhttp.gives = "ha1"',
      'at https://p.example, asked for each ha1',
    ],
  ])('says where accounts are: %s', (lines, expected) => {
    expect(wordsOf(`${PLAIN}[users.credentials]\n${lines}`)).toContain(expected)
  })
})
