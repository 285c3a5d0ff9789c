/**
 * `xkeys user`: accounts.
 * @module
 */
import type { Command } from 'commander'
import { addUserAddCommand, addUserPasswdCommand, addUserRemoveCommand } from './user-add.ts'
import { addUserCreateTableCommand } from './user-create-table.ts'
import { addUserImportCommand } from './user-import.ts'
import { addUserListCommand } from './user-list.ts'

/** Adds the command. */
export function addUserCommand(program: Command): void {
  const user = program
    .command('user')
    .summary('accounts')
    .description('Work with the accounts of users, in a file or a database.')
  addUserAddCommand(user)
  addUserPasswdCommand(user)
  addUserListCommand(user)
  addUserRemoveCommand(user)
  addUserImportCommand(user)
  addUserCreateTableCommand(user)
}
