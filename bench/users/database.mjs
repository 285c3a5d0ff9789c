// @ts-check
/**
 * A MariaDB or PostgreSQL of a run's own, on loopback, with Kamailio's tables and accounts in them. Its data are in the
 * run's folder.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openSqlDatabase } from '../../dist/stores/sql-database.js'

/** Of the database and, in the accounts, of everybody. Kamailio decodes no URL. */
export const PASSWORD = 'benchmark'
export const REALM = 'example.org'
const NAME = 'kamailio'

/** @typedef {'mysql' | 'postgres'} Engine */
/**
 * @typedef Database
 * @property {string} url with user and password
 * @property {number} pid its first process
 * @property {() => Promise<void>} stop ends it, and keeps its data
 * @property {() => Promise<void>} start again, where it was
 */

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

/** Debian keeps each version of PostgreSQL in a folder of its own. @param {string} name */
function postgresProgram(name) {
  const versions = '/usr/lib/postgresql'
  const found = existsSync(versions)
    ? readdirSync(versions).map((version) => join(versions, version, 'bin', name))
    : []
  return found.find((path) => existsSync(path)) ?? name
}

const isRoot = process.getuid?.() === 0

/** PostgreSQL refuses to run as root. @param {string[]} words */
const asPostgres = (words) =>
  isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', ...words] : words

/** What runs an engine. @param {Engine} engine @param {string} folder @param {number} port @returns {string[]} */
function prepare(engine, folder, port) {
  const data = join(folder, 'data')
  mkdirSync(folder)
  if (engine === 'mysql') {
    const user = isRoot ? ['--user=root'] : []
    const install = [
      '--no-defaults',
      `--datadir=${data}`,
      '--auth-root-authentication-method=normal',
      ...user,
    ]
    execFileSync('mariadb-install-db', install, { cwd: folder, stdio: 'pipe' })
    const settings = [`--datadir=${data}`, `--port=${port}`, `--socket=${join(folder, 'socket')}`]
    return [
      'mariadbd',
      '--no-defaults',
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      ...settings,
      ...user,
    ]
  }
  mkdirSync(data)
  writeFileSync(join(folder, 'password'), PASSWORD)
  if (isRoot) {
    execFileSync('chown', ['-R', 'postgres', folder])
    // It must find its way.
    for (const path of [folder, dirname(folder)]) chmodSync(path, 0o755)
  }
  const [initdb = '', ...words] = asPostgres(
    [
      [postgresProgram('initdb'), '-D', data, '-U', NAME, '-A', 'scram-sha-256', '-E', 'UTF8', '--no-locale'],
      [`--pwfile=${join(folder, 'password')}`],
    ].flat(),
  )
  execFileSync(initdb, words, { cwd: folder, stdio: 'pipe' })
  const settings = ['listen_addresses=127.0.0.1', `port=${port}`, `unix_socket_directories=${folder}`]
  return asPostgres([postgresProgram('postgres'), '-D', data, ...settings.flatMap((text) => ['-c', text])])
}

/**
 * Starts one.
 * @param {Engine} engine
 * @param {string} folder does not exist yet
 * @param {string[]} [prefix] words in front of the command, such as `taskset -c 1`
 * @returns {Promise<Database>}
 */
export async function startDatabase(engine, folder, prefix = []) {
  const port = await freePort()
  const command = [...prefix, ...prepare(engine, folder, port)]
  const login = engine === 'mysql' ? 'root@127.0.0.1' : `${NAME}:${PASSWORD}@127.0.0.1`
  const first = `${engine}://${login}:${port}/${engine}`
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let server

  /** Of PostgreSQL the first process keeps the others; `setpriv` and `taskset` become it. */
  const database = {
    url: `${engine}://${NAME}:${PASSWORD}@127.0.0.1:${port}/${NAME}`,
    get pid() {
      return server?.pid ?? 0
    },
    async start() {
      const [program = '', ...words] = command
      server = spawn(program, words, { cwd: folder, stdio: 'ignore' })
      for (const end = Date.now() + 20_000; ; await sleep(50)) {
        try {
          await run(first, 'SELECT 1')
          return
        } catch (error) {
          if (Date.now() > end || server.exitCode !== null) throw error
        }
      }
    },
    async stop() {
      if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
      const ended = once(server, 'exit')
      // At once: MariaDB as in a crash, PostgreSQL with all its processes.
      server.kill(engine === 'mysql' ? 'SIGKILL' : 'SIGQUIT')
      await ended
    },
  }
  await database.start()
  await run(first, `CREATE DATABASE ${NAME}`)
  if (engine === 'mysql') {
    await run(first, `CREATE USER ${NAME}@'127.0.0.1' IDENTIFIED BY '${PASSWORD}'`)
    await run(first, `GRANT ALL ON ${NAME}.* TO ${NAME}@'127.0.0.1'`)
  }
  return database
}

/** @param {string} url @param {string[]} statements */
async function run(url, ...statements) {
  const database = await openSqlDatabase({ url, poolSize: 1, timeoutMs: 20_000 }, 'write')
  try {
    for (const text of statements) await database.run({ text, values: [] })
  } finally {
    await database.close()
  }
}

/** @param {string} text */
const md5 = (text) => createHash('md5').update(text).digest('hex')

/** A column. @param {string} name @param {number} size */
const text = (name, size) => `${name} VARCHAR(${size}) DEFAULT '' NOT NULL`

/** The name of an account. @param {number} i */
export const userName = (i) => `user${i}`

/** Makes the tables that Kamailio's auth_db needs, with so many accounts. @param {Database} database @param {number} accounts */
export async function fillAccounts({ url }, accounts) {
  const isPostgres = url.startsWith('postgres')
  const id = `id ${isPostgres ? 'SERIAL' : 'INT UNSIGNED AUTO_INCREMENT'} NOT NULL PRIMARY KEY`
  const rows = Array.from({ length: accounts }, (_, i) => {
    const name = userName(i)
    const [ha1, ha1b] = [name, `${name}@${REALM}`].map((user) => md5(`${user}:${REALM}:${PASSWORD}`))
    return `('${name}', '${REALM}', '', '${ha1}', '${ha1b}')`
  })
  await run(
    url,
    `CREATE TABLE version (${id}, table_name VARCHAR(32) NOT NULL UNIQUE, table_version INT DEFAULT 0 NOT NULL)`,
    "INSERT INTO version (table_name, table_version) VALUES ('version', 1), ('subscriber', 7)",
    `CREATE TABLE subscriber (${[id, text('username', 64), text('domain', 64), text('password', 64), text('ha1', 128), text('ha1b', 128)].join(', ')}, UNIQUE (username, domain))`,
    `INSERT INTO subscriber (username, domain, password, ha1, ha1b) VALUES ${rows.join(', ')}`,
  )
}
