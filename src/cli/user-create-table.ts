/**
 * `xkeys user create-table`: the table of accounts.
 * @module
 */
import { Option, type Command } from 'commander'
import { accountSchema, createAccountTable } from '../stores/sql-account-schema.ts'
import { UsageError } from './exit.ts'
import { print } from './io.ts'
import { targetOf } from './user-target.ts'

interface CreateTableOptions {
  readonly accounts?: string
  readonly dbPassword?: string
  readonly print?: 'sqlite' | 'mysql' | 'postgres'
}

/** Adds the command. */
export function addUserCreateTableCommand(user: Command): void {
  user
    .command('create-table')
    .summary('make the table of accounts')
    .description(
      "Makes the table subscriber in a database: Kamailio's columns, and one for the hash of each further algorithm. Of SQLite it makes the file as well.",
    )
    .option('--accounts <url>', 'sqlite:PATH, mysql://user@host/database or postgres://…')
    .option('--db-password <reference>', 'password of the database: env:NAME or file:PATH')
    .addOption(
      new Option('--print <engine>', 'only print the SQL')
        .choices(['sqlite', 'mysql', 'postgres'])
        .conflicts('accounts'),
    )
    .addHelpText('after', '\nExample:\n  xkeys user create-table --accounts sqlite:accounts.db')
    .action(createTable)
}

async function createTable({ accounts, dbPassword, print: engine }: CreateTableOptions): Promise<void> {
  if (engine !== undefined) {
    for (const statement of accountSchema(engine)) print(`${statement};`)
    return
  }
  if (accounts === undefined) throw new UsageError('give --accounts or --print')
  const target = targetOf(accounts, dbPassword)
  if (target.kind === 'toml') throw new UsageError(`--accounts: ${accounts} is no database`)
  await createAccountTable(target.options)
  print('made the table subscriber')
}
