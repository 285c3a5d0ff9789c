/**
 * Real databases for tests: servers of their own on loopback, with their data in temporary folders, gone when the file's
 * tests are over.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SqlEngine, SqlResult } from '../../src/stores/sql-connection.ts'
import { openSqlDatabase, type SqlDatabase } from '../../src/stores/sql-database.ts'
import { programPath, start, tempFolder, type Program, type Running } from './peers.ts'

/** A database that is there for one test file. */
export interface TestDatabase {
  readonly engine: SqlEngine
  /** With user and password. The user may do everything in it. */
  readonly url: string
  /** As Kamailio's `db_url` has it, with a user whose password needs no escapes; of SQLite there is none. */
  readonly kamailioUrl: string
  /** A unix socket of the server, as a URL's parameter `socket` has it; of SQLite there is none. */
  readonly socket: string
  /** Runs statements, one after the other; the result is the last one's. */
  exec(...statements: readonly string[]): Promise<SqlResult>
  /** A connection of one's own, as to hold a lock. */
  open(): Promise<SqlDatabase>
  /** Ends the server, as a crash would, and keeps its data. */
  stop(): Promise<void>
  /** Starts it again, where it was. */
  start(): Promise<void>
  close(): Promise<void>
}

/** What a suite needs that runs on an engine, for `describePeers`. */
export const DATABASE_PROGRAMS: Readonly<Record<SqlEngine, readonly Program[]>> = {
  sqlite: [],
  mysql: ['mariadbd', 'mariadb-install-db'],
  postgres: ['postgres', 'initdb'],
}

const USER = 'xkeys'
const PASSWORD = 'p@ss/word:%'
const DATABASE = 'kamailio'
const KAMAILIO = { user: 'kamailiorw', password: 'kamailiorw' }

/** Certificate and key, in PEM. */
export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

/** A certificate that is its own authority, for a name. */
export function makeCertificate(name: string): TestCertificate {
  const folder = tempFolder()
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=database -addext subjectAltName=DNS:${name} -out ${cert} -keyout ${key}`
  execFileSync(programPath('openssl'), words.split(' '), { stdio: 'pipe' })
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

/** Starts a database of an engine, with TLS where it has a certificate; of SQLite it makes a file. */
export function startDatabase(engine: SqlEngine, tls?: TestCertificate): Promise<TestDatabase> {
  switch (engine) {
    case 'sqlite':
      return createSqlite()
    case 'mysql':
      return startMariadb(tls)
    case 'postgres':
      return startPostgres(tls)
  }
}

const nothing = async (): Promise<void> => {}

async function createSqlite(): Promise<TestDatabase> {
  const url = `sqlite:${join(tempFolder(), 'accounts.db')}`
  const database: TestDatabase = {
    engine: 'sqlite',
    url,
    kamailioUrl: '',
    socket: '',
    ...clientOf(url),
    stop: nothing,
    start: nothing,
    close: nothing,
  }
  await database.exec('PRAGMA journal_mode = WAL')
  return database
}

/** Starts MariaDB with a database `kamailio` that is empty. */
export async function startMariadb(tls?: TestCertificate): Promise<TestDatabase> {
  const folder = tempFolder()
  const data = join(folder, 'data')
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
  const secured = tls && writeCertificate(folder, tls)
  execFileSync(
    programPath('mariadb-install-db'),
    [
      '--no-defaults',
      `--datadir=${data}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      ...asRoot,
    ],
    { cwd: folder, stdio: 'pipe' },
  )
  const port = await freeTcpPort()
  const socket = join(folder, 'mariadb.sock')
  const server = serverOf(() =>
    start(programPath('mariadbd'), [
      '--no-defaults',
      `--datadir=${data}`,
      `--socket=${socket}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--innodb-buffer-pool-size=16M',
      '--innodb-flush-log-at-trx-commit=0',
      '--skip-name-resolve',
      ...asRoot,
      ...(secured === undefined ? [] : [`--ssl-cert=${secured.cert}`, `--ssl-key=${secured.key}`]),
    ]),
  )
  const root = clientOf(`mysql://root@localhost/mysql?socket=${encodeURIComponent(socket)}`)
  await server.start(() => root.exec('SELECT 1'))
  await root.exec(
    `CREATE DATABASE ${DATABASE}`,
    `CREATE USER ${USER}@'127.0.0.1' IDENTIFIED BY '${PASSWORD}'`,
    `GRANT ALL ON ${DATABASE}.* TO ${USER}@'127.0.0.1'`,
    `CREATE USER ${USER}@localhost IDENTIFIED BY '${PASSWORD}'`,
    `GRANT ALL ON ${DATABASE}.* TO ${USER}@localhost`,
    `CREATE USER ${KAMAILIO.user}@'127.0.0.1' IDENTIFIED BY '${KAMAILIO.password}'`,
    `GRANT ALL ON ${DATABASE}.* TO ${KAMAILIO.user}@'127.0.0.1'`,
  )
  return databaseOf(
    'mysql',
    `mysql://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/${DATABASE}`,
    server,
    socket,
  )
}

/** Starts PostgreSQL with a database `kamailio` that is empty. */
export async function startPostgres(tls?: TestCertificate): Promise<TestDatabase> {
  const folder = tempFolder()
  const data = join(folder, 'data')
  mkdirSync(data)
  const secret = join(folder, 'password')
  writeFileSync(secret, PASSWORD)
  const secured = tls && writeCertificate(folder, tls)
  const asPostgres = usePostgres(folder)
  const [initdb, ...rest] = asPostgres([
    programPath('initdb'),
    '-D',
    data,
    '-U',
    USER,
    '-A',
    'scram-sha-256',
    `--pwfile=${secret}`,
    '-E',
    'UTF8',
    '--no-sync',
    '--no-locale',
  ])
  execFileSync(initdb!, rest, { cwd: folder, stdio: 'pipe' })
  const port = await freeTcpPort()
  const settings = [
    `listen_addresses=127.0.0.1`,
    `port=${port}`,
    `unix_socket_directories=${folder}`,
    'fsync=off',
    ...(secured === undefined
      ? []
      : ['ssl=on', `ssl_cert_file=${secured.cert}`, `ssl_key_file=${secured.key}`]),
  ]
  const [postgres, ...args] = asPostgres([
    programPath('postgres'),
    '-D',
    data,
    ...settings.flatMap((setting) => ['-c', setting]),
  ])
  const server = serverOf(
    () => start(postgres!, args, folder),
    // Its own processes do not belong to the group, so it is asked to end them (SIGQUIT: at once).
    () => {
      const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n', 1)[0])
      process.kill(pid, 'SIGQUIT')
    },
  )
  const login = `${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`
  const first = clientOf(`postgres://${login}/postgres`)
  await server.start(() => first.exec('SELECT 1'))
  await first.exec(
    `CREATE DATABASE ${DATABASE}`,
    `CREATE USER ${KAMAILIO.user} SUPERUSER PASSWORD '${KAMAILIO.password}'`,
  )
  return databaseOf('postgres', `postgres://${login}/${DATABASE}`, server, folder)
}

/** PostgreSQL refuses to run as root: there it runs as its own user. */
function usePostgres(folder: string): (words: readonly string[]) => readonly string[] {
  if (process.getuid?.() !== 0) return (words) => words
  execFileSync('chown', ['-R', 'postgres', folder])
  chmodSync(folder, 0o755)
  return (words) => ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', ...words]
}

/** Paths of both, readable by their owner only. */
function writeCertificate(folder: string, { cert, key }: TestCertificate): TestCertificate {
  const paths = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  writeFileSync(paths.cert, cert, { mode: 0o600 })
  writeFileSync(paths.key, key, { mode: 0o600 })
  return paths
}

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

interface Server {
  start(ask?: () => Promise<unknown>): Promise<void>
  stop(): Promise<void>
}

/** Runs a server and waits until it answers. */
function serverOf(run: () => Running, ending: () => void = () => {}): Server {
  let running: Running | undefined
  let probe: () => Promise<unknown> = nothing
  const server: Server = {
    async start(ask = probe) {
      probe = ask
      running = run()
      let last: unknown
      for (const until = Date.now() + 20_000; Date.now() < until; await sleep(50)) {
        try {
          await ask()
          return
        } catch (error) {
          last = error
        }
      }
      const output = running.output()
      await server.stop()
      throw new Error(`the database did not start: ${String(last)}\n${output}`)
    },
    async stop() {
      try {
        if (running !== undefined) ending()
      } catch {
        // It has ended already.
      }
      await running?.stop()
      running = undefined
    },
  }
  return server
}

function clientOf(url: string): Pick<TestDatabase, 'exec' | 'open'> {
  const open = (): Promise<SqlDatabase> => openSqlDatabase({ url, timeoutMs: 10_000, poolSize: 1 }, 'create')
  return {
    open,
    async exec(...statements) {
      const database = await open()
      try {
        let result: SqlResult = { columns: [], rows: [], changed: 0 }
        for (const text of statements) result = await database.run({ text, values: [] })
        return result
      } finally {
        await database.close()
      }
    },
  }
}

function databaseOf(engine: SqlEngine, url: string, server: Server, socket: string): TestDatabase {
  const { host, pathname, protocol } = new URL(url)
  return {
    engine,
    url,
    kamailioUrl: `${protocol}//${KAMAILIO.user}:${KAMAILIO.password}@${host}${pathname}`,
    socket,
    ...clientOf(url),
    stop: () => server.stop(),
    start: () => server.start(),
    close: () => server.stop(),
  }
}

const text = (name: string, size: number): string => `${name} VARCHAR(${size}) DEFAULT '' NOT NULL`

/**
 * Kamailio 5.6's tables `version`, `subscriber` and `uri`, as its `auth_db` and `uri_db` expect them: for servers, since
 * Kamailio has no module for SQLite here.
 */
export async function createKamailioTables(database: TestDatabase): Promise<void> {
  const id = { mysql: 'INT UNSIGNED AUTO_INCREMENT', postgres: 'SERIAL', sqlite: 'INTEGER' }[database.engine]
  const time = database.engine === 'mysql' ? 'DATETIME' : 'TIMESTAMP'
  const table = (name: string, lines: readonly string[]): string =>
    `CREATE TABLE ${name} (id ${id} NOT NULL PRIMARY KEY, ${lines.join(', ')})`
  await database.exec(
    table('version', [
      'table_name VARCHAR(32) NOT NULL',
      'table_version INT DEFAULT 0 NOT NULL',
      'CONSTRAINT table_name_idx UNIQUE (table_name)',
    ]),
    table('subscriber', [
      text('username', 64),
      text('domain', 64),
      text('password', 64),
      text('ha1', 128),
      text('ha1b', 128),
      'CONSTRAINT subscriber_account_idx UNIQUE (username, domain)',
    ]),
    table('uri', [
      text('username', 64),
      text('domain', 64),
      text('uri_user', 64),
      `last_modified ${time} DEFAULT '2000-01-01 00:00:01' NOT NULL`,
      'CONSTRAINT uri_account_idx UNIQUE (username, domain, uri_user)',
    ]),
    "INSERT INTO version (table_name, table_version) VALUES ('version', '1'), ('subscriber', '7'), ('uri', '1')",
  )
}
