/**
 * `xkeys user add`, `xkeys user passwd`, `xkeys user remove`: one account.
 * @module
 */
import type { Command } from 'commander'
import { formatAccount, secretsOf, type AccountChange, type AccountName } from '../stores/account-change.ts'
import { UsageError } from './exit.ts'
import { print, printJson } from './io.ts'
import { addPasswordOptions, readPassword, type PasswordOptions } from './user-password.ts'
import {
  accountArgument,
  addAccountsOptions,
  nameFault,
  readAccountsTarget,
  refuse,
  withAccounts,
  type AccountsOptions,
  type AccountsTarget,
} from './user-target.ts'

interface WriteOptions extends AccountsOptions, PasswordOptions {
  readonly realm?: string
  readonly json?: true
}

/** Adds `add`. */
export function addUserAddCommand(user: Command): void {
  const command = user
    .command('add')
    .summary('add an account')
    .description(
      'Adds an account. Of its password the HA1 of every algorithm is stored, with and without the domain in the user name. The password is asked for at the terminal, or comes from a file, or is made.',
    )
  addWriteOptions(command)
    .addHelpText(
      'after',
      '\nExample:\n  xkeys user add alice@example.org --accounts accounts.toml --generate',
    )
    .action((name: string, options: WriteOptions) => writeAccount('add', name, options))
}

/** Adds `passwd`. */
export function addUserPasswdCommand(user: Command): void {
  const command = user
    .command('passwd')
    .summary('change the password of an account')
    .description(
      'Stores another password for an account, as "user add" does. Nothing that was stored of the old one stays.',
    )
  addWriteOptions(command)
    .addHelpText(
      'after',
      '\nExample:\n  xkeys user passwd bob@example.org --accounts accounts.toml --generate',
    )
    .action((name: string, options: WriteOptions) => writeAccount('passwd', name, options))
}

/** Adds `remove`. */
export function addUserRemoveCommand(user: Command): void {
  const command = user
    .command('remove')
    .summary('remove an account')
    .description('Removes an account with everything that is stored of it there.')
    .argument('<user@domain>', 'the account')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys user remove bob@example.org --accounts accounts.toml')
  addAccountsOptions(command).action(async (name: string, options: AccountsOptions & { json?: true }) => {
    const account = accountArgument(name)
    if (await make(readAccountsTarget(options), { change: 'remove', account }))
      tell('removed', account, options, undefined)
  })
}

function addWriteOptions(command: Command): Command {
  command
    .argument('<user@domain>', 'the account')
    .option('--realm <realm>', 'realm that it authenticates in; default: the domain')
    .option('--json', 'one JSON object')
  return addAccountsOptions(addPasswordOptions(command))
}

async function writeAccount(change: 'add' | 'passwd', name: string, options: WriteOptions): Promise<void> {
  const account = accountArgument(name)
  const realm = options.realm ?? account.domain
  const fault = nameFault(realm)
  if (fault !== undefined) throw new UsageError(`--realm: ${fault}`)
  const target = readAccountsTarget(options)
  const { password, source } = await readPassword(options)
  const secrets = secretsOf({ ...account, realm }, password, options.plain ? 'plain' : 'hashes')
  if (await make(target, { change, account: { ...account, realm, secrets } }))
    tell(
      change === 'add' ? 'added' : 'changed',
      account,
      options,
      source === 'generated' ? password : undefined,
    )
}

async function make(target: AccountsTarget, change: AccountChange): Promise<boolean> {
  const against = await withAccounts(target, 'write', (place) => place.change([change], 'make'))
  if (against.length > 0) refuse(against)
  return against.length === 0
}

function tell(
  done: 'added' | 'changed' | 'removed',
  account: AccountName,
  { json }: { readonly json?: true },
  password: string | undefined,
): void {
  if (json) return printJson({ [done]: formatAccount(account), ...(password !== undefined && { password }) })
  print(`${done} ${formatAccount(account)}`)
  if (password !== undefined) print(password)
}
