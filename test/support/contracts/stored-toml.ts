/**
 * The accounts of the contract of credential stores, as TOML.
 */
import { STORED } from './credentials.ts'

const text = (value: string): string => JSON.stringify(value)

/** `[[users]]` of every account. */
export function tomlOfStored(): string {
  return STORED.map((account) =>
    [
      '[[users]]',
      `username = ${text(account.username)}`,
      `realm = ${text(account.realm)}`,
      `password = ${text(account.password)}`,
      ...(account.status ? [`status = "${account.status}"`] : []),
      ...(account.identities ? [`identities = ${JSON.stringify(account.identities)}`] : []),
      ...(account.registersFor ? [`registers_for = ${JSON.stringify(account.registersFor)}`] : []),
      ...(account.attributes ? ['[users.attributes]', 'plan = "gold"'] : []),
    ].join('\n'),
  ).join('\n\n')
}
