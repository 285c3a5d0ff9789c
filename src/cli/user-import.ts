/**
 * `xkeys user import`: accounts of another system.
 * @module
 */
import type { Command } from 'commander'
import { secretsOf, type AccountInput } from '../stores/account-change.ts'
import { openSqlAccounts } from '../stores/sql-accounts.ts'
import { isSqlUrl } from '../stores/sql-url.ts'
import { UsageError } from './exit.ts'
import { print, printJson, readInput } from './io.ts'
import { warn } from './keyring-target.ts'
import { readAccountsFile } from './user-import-file.ts'
import {
  addAccountsOptions,
  readAccountsTarget,
  refuse,
  targetOf,
  withAccounts,
  type AccountsOptions,
} from './user-target.ts'

interface ImportOptions extends AccountsOptions {
  readonly from: string
  readonly fromPassword?: string
  readonly dryRun?: true
  readonly plain?: true
  readonly realm?: string
  readonly json?: true
}

/** Adds the command. */
export function addUserImportCommand(user: Command): void {
  const command = user
    .command('import')
    .summary('take over the accounts of another system')
    .description(
      "Adds the accounts of Flexisip's file, of a CSV file with the columns of Kamailio's table (username, domain, and password or ha1, ha1b, ha1_sha256, …), or of Kamailio's table subscriber in another database. All of them are added, or none.",
    )
    .requiredOption('--from <place>', 'file, "-" being standard input, or URL of a database')
    .option('--from-password <reference>', 'password of that database: env:NAME or file:PATH')
    .option('--realm <realm>', 'realm that their hashes were made with; default: the domain of each')
    .option('--plain', 'store passwords as they are, too, where they come so')
    .option('--dry-run', 'only tell what would be done')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys user import --from userdb.conf --accounts accounts.toml')
  addAccountsOptions(command).action(importAccounts)
}

async function importAccounts(options: ImportOptions): Promise<void> {
  const target = readAccountsTarget(options)
  const accounts = isSqlUrl(options.from) ? await readDatabase(options) : readFile(options)
  if (accounts.length === 0) throw new UsageError(`${options.from}: there is no account in it`)
  const phones = accounts.filter(({ identities = [] }) => identities.length > 0).length
  if (phones > 0 && target.kind === 'sql')
    warn(`telephone numbers are not taken over: ${count(phones)} had one, and the table has no column for it`)
  const changes = accounts.map((account) => ({ change: 'add', account }) as const)
  const mode = options.dryRun ? 'try' : 'make'
  const against = await withAccounts(target, 'write', (place) => place.change(changes, mode))
  if (against.length > 0) return refuse(against)
  if (options.json) printJson({ [options.dryRun ? 'wouldImport' : 'imported']: accounts.length })
  else print(`${options.dryRun ? 'would import' : 'imported'} ${count(accounts.length)}`)
}

function readFile({ from, fromPassword, realm, plain }: ImportOptions): readonly AccountInput[] {
  if (fromPassword !== undefined) throw new UsageError('--from-password: a file has none')
  const { bytes, name } = { bytes: readInput(from), name: from === '-' ? 'standard input' : from }
  return readAccountsFile(bytes, { file: name, realm, keep: plain ? 'plain' : 'hashes' })
}

/** What a table holds as hashes is taken as it is; only where there is none they are made of the password. */
async function readDatabase({
  from,
  fromPassword,
  realm,
  plain,
}: ImportOptions): Promise<readonly AccountInput[]> {
  const source = targetOf(from, fromPassword)
  if (source.kind === 'toml') return []
  const place = await openSqlAccounts(source.options, 'read')
  const accounts: AccountInput[] = []
  try {
    for await (const { secrets, ...account } of place.read()) {
      const { password, ...hashes } = secrets
      const named = { ...account, realm: realm ?? account.realm }
      const isHashed = Object.keys({ ...hashes.ha1, ...hashes.ha1b }).length > 0
      const kept = isHashed || password === undefined ? hashes : secretsOf(named, password, 'hashes')
      accounts.push({ ...named, secrets: { ...kept, ...(plain && password !== undefined && { password }) } })
    }
  } finally {
    await place.close()
  }
  return accounts
}

function count(accounts: number): string {
  return accounts === 1 ? '1 account' : `${accounts} accounts`
}
