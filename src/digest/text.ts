/**
 * Bytes of a header and the characters that they stand for: `charset=UTF-8` of RFC 7616 §3.3, `username*` of RFC 8187.
 * @module
 */

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The characters of latin1 text whose bytes are UTF-8; undefined where they are not, or hold what could break a line. */
export function decodeUtf8(latin1: string): string | undefined {
  if (isPrintableAscii(latin1)) return latin1
  try {
    const text = UTF8.decode(Buffer.from(latin1, 'latin1'))
    return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

/** Most names are, and stand for themselves. */
function isPrintableAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 32 || code > 126) return false
  }
  return true
}

/** The UTF-8 bytes of `text`, as latin1 text. */
export function encodeUtf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** The characters of an extended value, `UTF-8''J%C3%A4s%C3%B8n`; undefined where it is none. */
export function decodeExtended(value: string): string | undefined {
  const match = /^utf-8'[A-Za-z0-9-]*'((?:%[0-9A-Fa-f]{2}|[A-Za-z0-9!#$&+.^_`|~-])*)$/i.exec(value)
  return match === null ? undefined : decodeUtf8(unescapePercent(match[1]!))
}

/** `%41` and its kin resolved, as a URI's user part is compared (RFC 3261 §19.1.4). */
export function unescapePercent(latin1: string): string {
  if (!latin1.includes('%')) return latin1
  return latin1.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}
