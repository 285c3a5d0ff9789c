/**
 * A keyring as TOML, as `parseKeyring` reads it. Secrets are in it.
 * @module
 */
import { REVOKED_ALWAYS, type Keyring } from './keyring.ts'

/** Writes every key of every group; comments and order of an original file are not kept. */
export function formatKeyring(keyring: Keyring): string {
  return keyring.groups.map((group) => formatGroup(keyring, group)).join('\n')
}

function formatGroup(keyring: Keyring, group: string): string {
  const name = /^[A-Za-z0-9_-]+$/.test(group) ? group : quote(group)
  return keyring
    .keys(group)
    .map((key) => {
      const [setting, value] = secretSetting(key.secret.export())
      const lines = [`[[groups.${name}.keys]]`, `name = ${quote(key.name)}`, `${setting} = ${value}`]
      if (key.activeFrom !== undefined) lines.push(`active_from = ${key.activeFrom.toISOString()}`)
      if (key.expires !== undefined) lines.push(`expires = ${key.expires.toISOString()}`)
      if (key.revoked !== undefined) {
        const always = key.revoked.getTime() === REVOKED_ALWAYS.getTime()
        lines.push(`revoked = ${always ? 'true' : key.revoked.toISOString()}`)
      }
      return `${lines.join('\n')}\n`
    })
    .join('\n')
}

/** A secret as a setting and its value in TOML: as text where it is text, which a reader can compare; else as base64. */
export function secretSetting(secret: Buffer): readonly [setting: 'value' | 'value_base64', value: string] {
  const text = secret.toString('utf8')
  const isText = Buffer.from(text).equals(secret) && !/\p{Cc}/u.test(text)
  return isText ? ['value', quote(text)] : ['value_base64', quote(secret.toString('base64'))]
}

/** A basic string of TOML; JSON's escapes are among its own. */
export function quote(text: string): string {
  return JSON.stringify(text).replace(/\x7f/g, '\\u007f')
}
