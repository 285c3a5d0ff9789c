/**
 * The settings of `[users]`: phones, which have no shared key and are authenticated by digest.
 * @module
 */
import { z } from 'zod'
import { credentialsSchema } from './config-credentials-schema.ts'
import { realmRule, setting, source } from './config-facts.ts'
import { redisTable } from './config-redis.ts'

const ALGORITHMS = ['MD5', 'MD5-sess', 'SHA-256', 'SHA-256-sess', 'SHA-512-256', 'SHA-512-256-sess'] as const
const algorithms = () => z.array(z.enum(ALGORITHMS))
const qops = () => z.array(z.enum(['auth', 'auth-int']))
const ALGORITHM_LIST = `list of ${ALGORITHMS.map((name) => `\`${name}\``).join(', ')}`
const QOP_LIST = 'list of `auth`, `auth-int`'
const SOURCES = 'list of addresses, networks, `address:port`'

const method = () => z.string().regex(/^[A-Z][A-Z0-9-]{0,31}$/, 'a method is written in capital letters')

const failuresSchema = z.strictObject({
  per_source: setting(z.number().min(1).max(1_000_000).default(20), {
    meaning:
      'Wrong answers from one address, IPv6 from one /64, after which it is banned: what comes from there is dropped.',
    example: '20',
  }),
  per_user: setting(z.number().min(1).max(1_000_000).default(50), {
    meaning:
      'Wrong answers as one user after which addresses that never authenticated as that user are not tried. The user is not locked out.',
    example: '50',
  }),
  half_life: setting(z.number().min(1).max(86_400).default(300), {
    meaning: 'After this time a wrong answer counts half.',
    example: '300',
    unit: 'seconds',
  }),
  ban: setting(z.number().min(1).max(604_800).default(600), {
    meaning: 'How long a ban lasts.',
    example: '600',
    unit: 'seconds',
  }),
  capacity: setting(z.int().min(100).max(10_000_000).default(50_000), {
    meaning: 'Sources, users and bans that are remembered, each.',
    example: '50000',
  }),
  allow: setting(z.array(source()).default([]), {
    meaning: 'Addresses and networks that are never banned: an office with many phones behind one address.',
    example: '["198.51.100.0/24"]',
    form: 'list of addresses, networks',
  }),
})

const claimsSchema = z.strictObject({
  capacity: setting(z.int().min(1000).max(100_000_000).default(200_000), {
    meaning:
      'Nonce counts that are remembered at once; one takes some 300 bytes, and an account one for each request within twice the life of a nonce. Where there is no room requests are answered 503.',
    example: '200000',
  }),
  source: setting(z.string().min(1).optional(), {
    meaning:
      'A Redis, as in `[keyring]`, in which the nodes share them, so that an answer that one node took is not taken by another. Each node knows its own, too, and goes on with those while the Redis is away.',
    example: '"redis://10.0.0.9:6379/1"',
    otherwise: 'that of a shared keyring; without one each node knows its own alone',
  }),
  name: setting(z.string().min(1).max(64).default('xkeys'), {
    meaning: 'Name under which they are stored there: nodes with the same one share them.',
    example: '"phones"',
  }),
  redis: redisTable,
})

/** The table `[users]`. */
export const usersSchema = z.strictObject({
  domains: setting(z.array(z.string()).min(1), {
    meaning:
      'Domains of the users: the host of From. A `*` stands for one whole label. Requests from elsewhere are refused, or are `strangers`.',
    example: '["example.org", "*.example.net"]',
    form: 'list of domains',
  }),
  registrar_domains: setting(z.array(z.string()).optional(), {
    meaning: 'Domains in which registrations are taken: the host of Request-URI and To.',
    example: '["example.org"]',
    form: 'list of domains',
    otherwise: 'those of `domains`',
  }),
  realm: setting(realmRule().optional(), {
    meaning:
      'How the realm follows from a request: it is always the same; or the domain of the request without a start such as `sip.`; or the first group of a regular expression (RE2) over `user@domain`.',
    example: '"fixed:example.org"',
    form: '`fixed:REALM`, `strip:PREFIX`, `pattern:REGEX`',
    otherwise: 'the domain of the request',
  }),
  nonce_group: setting(z.string().min(1), {
    meaning:
      'Key group in the keyring that proves nonces and flow tokens. One of its own, shared by the nodes of a fleet, and rotated as any other; an old key must verify for as long as registrations and calls last.',
    example: '"nonces"',
  }),
  nonce_lifetime: setting(z.number().min(5).max(86_400).default(300), {
    meaning: 'How long a nonce can be used; then the phone gets a new one, and asks nobody for a password.',
    example: '300',
    unit: 'seconds',
  }),
  nonce_drift: setting(z.number().min(0).max(60).default(3), {
    meaning: 'How far the clock of another node may be ahead.',
    example: '3',
    unit: 'seconds',
  }),
  nonce_binding: setting(z.array(z.enum(['source', 'call-id'])).default(['source']), {
    meaning:
      'What a nonce is bound to besides its realm. With `source` nobody can answer a challenge from an address that it was not sent to: neither bans of others nor a way to them can be had by forging theirs. Without it are phones whose address changes with every packet. Some phones change their Call-ID when they are challenged.',
    example: '["source"]',
    form: 'list of `source`, `call-id`',
  }),
  algorithms: setting(algorithms().default(['SHA-512-256', 'SHA-256', 'MD5']), {
    meaning:
      'One challenge is offered for each, strongest first. Accounts need a hash of it: where the database holds MD5 hashes alone, say `["MD5"]`.',
    example: '["SHA-256", "MD5"]',
    form: ALGORITHM_LIST,
  }),
  qop: setting(qops().default(['auth']), {
    meaning:
      'Quality of protection; an empty list is for phones of RFC 2069, and a nonce then serves one request.',
    example: '["auth"]',
    form: QOP_LIST,
  }),
  terminates: setting(z.array(method()).default(['REGISTER']), {
    meaning:
      'Methods whose requests end at the upstream, challenged with 401; others are challenged with 407.',
    example: '["REGISTER", "PUBLISH"]',
    form: 'list of methods',
  }),
  strangers: setting(z.enum(['refuse', 'forward']).default('refuse'), {
    meaning:
      'Requests from a domain that is not ours to one that is: refused with 403, or forwarded to the upstream unauthenticated, calls of anybody.',
    example: '"refuse"',
  }),
  in_dialog: setting(z.enum(['authenticate', 'route']).default('authenticate'), {
    meaning:
      'Requests in a dialog are challenged like others; or the flow token in their Route proves them, where they come from the address that it names. The ACK of an answered call always passes by its token.',
    example: '"route"',
  }),
  on_failure: setting(z.enum(['refuse', 'challenge']).default('refuse'), {
    meaning: 'A wrong answer is refused with 403, or challenged again.',
    example: '"refuse"',
  }),
  trusted: setting(z.array(source()).default([]), {
    meaning:
      'Sources that are never challenged: gateways of your own that cannot authenticate. Whoever can send from there is believed to be anybody.',
    example: '["10.0.0.8"]',
    form: SOURCES,
  }),
  scanners: setting(z.array(z.string().min(3)).optional(), {
    meaning:
      'Parts of the User-Agent of scanners, in any case: their requests are dropped before anything is computed.',
    example: '["friendly-scanner", "sipvicious"]',
    form: 'list of texts',
    otherwise: 'those of well-known scanners',
  }),
  invites: setting(z.int().min(1).max(1_000_000).default(20_000), {
    meaning: 'Accepted INVITEs of users that are remembered for their CANCEL and ACK.',
    example: '20000',
  }),
  pending: setting(z.int().min(1).max(100_000).default(2000), {
    meaning: 'Requests that may wait for the accounts at once; more are answered 503.',
    example: '2000',
  }),
  pending_per_source: setting(z.int().min(1).max(100_000).default(200), {
    meaning: 'The same for the requests of one address.',
    example: '200',
  }),
  requests_per_second: setting(z.int().min(2).max(1_000_000).default(2000), {
    meaning:
      'Requests of users that are judged, on average, and a twentieth of them at once; more are dropped and counted. Addresses from which no user was accepted before have half of it between them. Trunks are not touched by what users send beyond it.',
    example: '2000',
    unit: 'a second',
  }),
  realms: z
    .record(
      z.string().min(1),
      z.strictObject({
        algorithms: setting(algorithms().optional(), {
          meaning: 'What this realm offers, in this order.',
          example: '["MD5"]',
          form: ALGORITHM_LIST,
          otherwise: 'as for all',
        }),
        qop: setting(qops().optional(), {
          meaning: 'Quality of protection in this realm.',
          example: '["auth"]',
          form: QOP_LIST,
          otherwise: 'as for all',
        }),
      }),
    )
    .prefault({}),
  quirks: z
    .array(
      z.strictObject({
        user_agent: setting(z.string().min(1), {
          meaning:
            'Part of the User-Agent, in any case. Anybody can write one, so what is weakened here is weakened for all.',
          example: '"Zoiper"',
        }),
        algorithms: setting(algorithms().optional(), {
          meaning: 'What is offered to it, in this order.',
          example: '["MD5"]',
          form: ALGORITHM_LIST,
          otherwise: 'as for its realm',
        }),
        qop: setting(qops().optional(), {
          meaning: 'Quality of protection offered to it.',
          example: '[]',
          form: QOP_LIST,
          otherwise: 'as for its realm',
        }),
      }),
    )
    .default([]),
  identity: z
    .record(
      method(),
      setting(z.array(z.enum(['from', 'to', 'request-uri', 'preferred'])), {
        meaning:
          'Fields that must name the account in requests of this method; none: they are not looked at. `preferred` is P-Preferred-Identity, and From where it is absent.',
        example: '["preferred"]',
        form: 'list of `from`, `to`, `request-uri`, `preferred`',
        otherwise: '`from`; of REGISTER `from`, `to`; of PUBLISH `from`, `request-uri`',
      }),
    )
    .prefault({}),
  failures: failuresSchema.prefault({}),
  claims: claimsSchema.prefault({}),
  credentials: credentialsSchema,
})
