/**
 * The accounts of a TOML file, for commands that list and change them.
 * @module
 */
import { HASH_ALGORITHMS } from '../digest/algorithm.ts'
import { issuesIn } from '../errors.ts'
import {
  formatAccount,
  type AccountChange,
  type AccountInput,
  type AccountName,
  type AccountPlace,
  type AccountRow,
} from '../stores/account-change.ts'
import { withLockedFile } from '../stores/replace-file.ts'
import type { TomlTable } from '../toml.ts'
import { appendAccounts, HASH_SETTINGS, readUsers, removeAccount, replaceSecrets } from './user-toml-edit.ts'
import { readTextFile } from '../stores/read-text.ts'

/** The accounts of a file. One that is not there is made by the first change. */
export function openTomlAccounts(path: string): AccountPlace {
  return {
    async *list() {
      const text = readTextFile(path, 'ERR_FILE_UNREADABLE')
      for (const user of issuesIn(path, () => readUsers(text))) yield rowOf(user)
    },
    async change(changes, mode) {
      const adds = changes.every(({ change }) => change === 'add')
      return withLockedFile(
        path,
        (file) => {
          const { text, against } = issuesIn(path, () => applyChanges(file.text, changes))
          if (against.length === 0 && mode === 'make') file.replace(text)
          return against
        },
        { missing: adds ? 'empty' : 'refuse' },
      )
    },
    async close() {},
  }
}

function applyChanges(
  toml: string,
  changes: readonly AccountChange[],
): { readonly text: string; readonly against: readonly string[] } {
  const against: string[] = []
  const known = new Set(readUsers(toml).map((user) => formatAccount(nameOf(user))))
  const added: AccountInput[] = []
  let text = toml
  for (const change of changes) {
    const name = formatAccount(change.account)
    if (change.change === 'add') {
      if (known.has(name)) against.push(`${name} is there already`)
      else added.push(change.account)
      known.add(name)
      continue
    }
    const users = readUsers(text)
    const index = users.findIndex((user) => formatAccount(nameOf(user)) === name)
    const realm = users[index]?.['realm']
    if (index < 0) against.push(`${name} is not there`)
    else if (change.change === 'remove') text = removeAccount(text, index)
    else if (realm !== change.account.realm)
      against.push(`${name} is in realm ${JSON.stringify(realm)}: give --realm`)
    else text = replaceSecrets(text, index, change.account)
  }
  return { text: added.length > 0 && against.length === 0 ? appendAccounts(text, added) : text, against }
}

function nameOf(user: TomlTable): AccountName {
  // The file is read as accounts before, so these are texts.
  const { username, realm, domain = realm } = user as Readonly<Record<string, string>>
  return { username: username!, domain: domain! }
}

function rowOf(user: TomlTable): AccountRow {
  const has = (name: string): boolean => user[name] !== undefined
  return {
    ...nameOf(user),
    algorithms: HASH_ALGORITHMS.filter(
      (algorithm) => has('password') || Object.values(HASH_SETTINGS[algorithm]).some(has),
    ),
    password: has('password') ? 'stored' : 'not stored',
  }
}
