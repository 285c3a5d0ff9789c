/**
 * Fields of digest credentials that templates may name (`$au`, `$ar`, `$adu`).
 * Only for templates: authentication has a parser of its own.
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import type { MessageView } from '../message/view.ts'
import { trimBoth } from './blanks.ts'

const PROXY = headerSelector('Proxy-Authorization')
const WWW = headerSelector('Authorization')

/** A field of the first Proxy-Authorization or Authorization with scheme Digest; null where there is none. */
export function digestField(
  view: MessageView,
  field: 'username' | 'realm' | 'uri' | 'domain',
): string | null {
  if (!view.layout.complete) return null
  for (const selector of [PROXY, WWW]) {
    const row = view.find(selector, 0)
    if (row < 0) continue
    const value = view.text(view.valueStart(row), view.valueEnd(row))
    if (value.slice(0, 7).toLowerCase() !== 'digest ') continue
    const fields = readFields(value, 7)
    // The domain that Kamailio shows is the one written inside the user name.
    const user = fields.get('username')
    if (user === undefined) continue
    const at = user.indexOf('@')
    if (field === 'domain') return at < 0 ? '' : user.slice(at + 1)
    if (field === 'username') return user
    return fields.get(field) ?? null
  }
  return null
}

function readFields(value: string, start: number): Map<string, string> {
  const fields = new Map<string, string>()
  let i = start
  while (i < value.length) {
    const equal = value.indexOf('=', i)
    if (equal < 0) break
    const name = trimBoth(value.slice(i, equal)).toLowerCase()
    let end = equal + 1
    while (value[end] === ' ') end++
    if (value[end] === '"') {
      const open = ++end
      while (end < value.length && value[end] !== '"') end += value[end] === '\\' ? 2 : 1
      if (!fields.has(name)) fields.set(name, value.slice(open, end))
      end = value.indexOf(',', end)
    } else {
      const open = end
      end = value.indexOf(',', open)
      if (!fields.has(name)) fields.set(name, trimBoth(value.slice(open, end < 0 ? undefined : end)))
    }
    if (end < 0) break
    i = end + 1
  }
  return fields
}
