/**
 * `xkeys user list`: the accounts of a place.
 * @module
 */
import type { Command } from 'commander'
import { formatAccount, type AccountRow } from '../stores/account-change.ts'
import { print, printJson } from './io.ts'
import { addAccountsOptions, readAccountsTarget, withAccounts, type AccountsOptions } from './user-target.ts'

/** Adds the command. */
export function addUserListCommand(user: Command): void {
  const command = user
    .command('list')
    .summary('show the accounts')
    .description('Shows every account and the algorithms that it can answer. No secret is shown.')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample:\n  xkeys user list --accounts accounts.toml')
  addAccountsOptions(command).action(async (options: AccountsOptions & { json?: true }) => {
    await withAccounts(readAccountsTarget(options), 'read', async (place) => {
      for await (const row of place.list()) {
        if (options.json) printJson(row)
        else print(formatRow(row))
      }
    })
  })
}

function formatRow(row: AccountRow): string {
  const algorithms = row.algorithms.join(', ') || 'no secret'
  return `${formatAccount(row)}  ${algorithms}${row.password === 'stored' ? '  password stored as it is' : ''}`
}
