/**
 * The settings of `[users.credentials]`: where accounts are looked up.
 * @module
 */
import { z } from 'zod'
import { clientTable, secret, setting } from './config-facts.ts'

const SECRET = '`env:NAME` or `file:PATH`'

const column = (meaning: string, name: string) =>
  setting(z.string().optional(), { meaning, example: `"${name}"`, otherwise: `\`${name}\`` })

const sqlSchema = z.strictObject({
  table: setting(z.string().optional(), {
    meaning: 'The table of accounts, with a schema as `kamailio.subscriber`.',
    example: '"subscriber"',
    otherwise: '`subscriber`',
  }),
  query: setting(z.string().optional(), {
    meaning:
      'In place of a table: one SELECT that gives the password or its hash and, in a second column, `CLRTXT`, `MD5`, `SHA-256` or `SHA-512-256`. Bound to it are `:id`, the user name, `:domain`, its domain or the realm, and `:authid`, the name as it was sent.',
    example:
      '"select password, algorithm from passwords join accounts using (id) where username = :id and domain = :domain"',
    otherwise: 'none',
  }),
  calculate_ha1: setting(z.boolean().default(false), {
    meaning:
      'The column `password` holds plain text, and hashes are computed of it. Whoever reads the table has every password.',
    example: 'false',
  }),
  use_domain: setting(z.boolean().default(true), {
    meaning: 'An account is known by user name and domain, which is the realm where a name has none.',
    example: 'true',
  }),
  status_column: setting(z.string().optional(), {
    meaning: 'Column that says whether an account is active. One that is not is answered 403.',
    example: '"status"',
    otherwise: 'none: every account is active',
  }),
  status_active: setting(z.array(z.string()).default(['0']), {
    meaning: 'Values of that column, as text, of active accounts.',
    example: '["0"]',
    form: 'list of texts',
  }),
  load_credentials: setting(z.string().optional(), {
    meaning: 'Columns that become attributes of the identity: `attribute=column;column`.',
    example: '"plan=rate_plan;email_address"',
    otherwise: 'none',
  }),
  identities_column: setting(z.string().optional(), {
    meaning: 'Column with other users that may stand in the URIs of an account, between commas or blanks.',
    example: '"numbers"',
    otherwise: 'none',
  }),
  uri_table: setting(z.string().optional(), {
    meaning: "Kamailio's table of such users, a row each, in place of a column.",
    example: '"uri"',
    otherwise: 'none',
  }),
  registers_for_column: setting(z.string().optional(), {
    meaning: 'Column with users that an account may register beside itself.',
    example: '"registers_for"',
    otherwise: 'none',
  }),
  columns: z
    .strictObject({
      username: column('User name.', 'username'),
      domain: column('Its domain.', 'domain'),
      password: column('Plain text.', 'password'),
      ha1: column('H(username:realm:password) in MD5, or in the hash that has no column of its own.', 'ha1'),
      ha1b: column('H(username@domain:realm:password), likewise.', 'ha1b'),
      ha1_sha256: column('The first in SHA-256.', 'ha1_sha256'),
      ha1b_sha256: column('The second in SHA-256.', 'ha1b_sha256'),
      ha1_sha512t256: column('The first in SHA-512-256.', 'ha1_sha512t256'),
      ha1b_sha512t256: column('The second in SHA-512-256.', 'ha1b_sha512t256'),
    })
    .prefault({}),
})

const httpSchema = z.strictObject({
  gives: setting(z.enum(['decision', 'password', 'ha1']).default('decision'), {
    meaning:
      'The service is shown the digest and decides, as a registration hook of jambonz; or it is asked for the password, or the HA1, of `{username}` and `{realm}` in the URL.',
    example: '"decision"',
  }),
  method: setting(z.enum(['POST', 'GET']).default('POST'), {
    meaning: 'How a deciding service is asked: JSON in a POST, or the parameters of the digest as a query.',
    example: '"POST"',
  }),
  signing_secret: setting(secret().optional(), {
    meaning: 'Signs what is posted: `Jambonz-Signature`.',
    example: '"env:HOOK_SECRET"',
    form: SECRET,
    otherwise: 'none',
  }),
  call_hook: setting(z.enum(['optional', 'required']).default('optional'), {
    meaning: 'Whether a user for whom the service names no `call_hook` may call, or only register.',
    example: '"optional"',
  }),
  hooks_query: setting(z.string().optional(), {
    meaning:
      'Where `source` is a database: one SELECT that says which service decides for `:realm`. It gives one row at most, with a column `url` and, where they are needed, `username` and `password` for Basic authentication and `secret` in place of `signing_secret`. A realm without a row is answered 403.',
    example:
      '"select url, username, password, webhook_secret as secret from accounts join webhooks on webhook_sid = registration_hook_sid where sip_realm = :realm"',
    otherwise: 'none: `source` has the accounts',
  }),
  hooks: z
    .record(
      z.string().min(1),
      setting(z.string(), {
        meaning: 'URL of the service that decides for this realm.',
        example: '"https://hooks.example.net/registration"',
        otherwise: 'that of `source`',
      }),
    )
    .prefault({}),
})

/** The table `[users.credentials]`. */
export const credentialsSchema = z.strictObject({
  source: setting(z.string().min(1), {
    meaning:
      "Where the accounts are: a TOML file, Flexisip's file, a database, a service. Paths are relative to this file. A database is asked for as `postgres://user@host/database?tls=on`; for SQLite, MariaDB and PostgreSQL the packages `libsql`, `mysql2`, `pg` are needed.",
    example: '"users.toml"',
    form: 'path, `flexisip:PATH`, `sqlite:PATH`, `mysql://…`, `mariadb://…`, `postgres://…`, `https://…`, `http://…`',
  }),
  username: setting(z.string().min(1).optional(), {
    meaning: 'User for Basic authentication with a service. That of a database stands in its URL.',
    example: '"xkeys"',
    otherwise: 'none',
  }),
  password: setting(secret().optional(), {
    meaning: 'Password for the database or the service.',
    example: '"file:/run/secrets/accounts"',
    form: SECRET,
    otherwise: 'none',
  }),
  timeout: setting(z.number().min(0.05).max(30).default(2), {
    meaning:
      'How long a look-up may take, with waiting and connecting; then the request is answered 503. With `hooks_query` database and service have so long each.',
    example: '2',
    unit: 'seconds',
  }),
  connections: setting(z.int().min(1).max(1000).optional(), {
    meaning: 'Connections to the database or service at once; with `hooks_query` to each.',
    example: '10',
    otherwise: '10; 2 for SQLite, 32 for a service',
  }),
  queue: setting(z.int().min(1).max(100_000).default(1000), {
    meaning: 'Look-ups that may wait for a connection; one more is answered 503 at once.',
    example: '1000',
  }),
  cache_found: setting(z.number().min(0).max(86_400).default(300), {
    meaning:
      'How long an account of a database, or a password of a service, is remembered: so long an old password works; by `hooks_query`, which service a realm has. 0 asks each time.',
    example: '300',
    unit: 'seconds',
  }),
  cache_missing: setting(z.number().min(0.001).max(3600).default(10), {
    meaning:
      'How long it is remembered that there is no such account, or no service: so long a new one waits.',
    example: '10',
    unit: 'seconds',
  }),
  cache_size: setting(z.int().min(1).max(10_000_000).default(10_000), {
    meaning: 'Accounts that are remembered, or realms with their services.',
    example: '10000',
  }),
  driver: clientTable({
    meaning:
      "Any option of the driver of a database server (`mysql2`, `pg`), as it is, before what the URL says: `ssl`, of `mysql2` `socketPath`. A text `env:NAME` or `file:PATH`, at any depth, stands for what is there. With `ssl`, `mysql2` looks at the server's name only where `verifyIdentity` is true.",
    example: '{ ca = "file:/etc/xkeys/db-ca.pem", verifyIdentity = true }',
    form: 'as the driver takes it',
    otherwise: 'none',
  }),
  sql: sqlSchema.prefault({}),
  http: httpSchema.prefault({}),
})
