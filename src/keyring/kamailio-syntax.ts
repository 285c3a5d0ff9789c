/**
 * The two languages around a Kamailio key line, read and written: strings of kamailio.cfg, and in them the
 * `name=value;name=value` parameters. Text is handled as bytes, one character each (latin1), because secrets are bytes.
 * After the behaviour of Kamailio 5.6: cfg.lex (STRING1, STRING2, STR_BETWEEN), parse_param.c.
 * @module
 */

/** Something read up to `end`, or why it could not be. */
export type Read<T> =
  | { readonly ok: true; readonly value: T; readonly end: number }
  | { readonly ok: false; readonly message: string }

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  a: '\x07',
  t: '\t',
  '"': '"',
  '\\': '\\',
  '\n': '',
}
const ESCAPE = /\\(?:([nrat"\\\n])|x([0-9a-fA-F]{1,2})|([0-7]{2,3}))/g
const DOUBLE_QUOTED = /"((?:[^"\\]|\\[^])*)"/y
const SINGLE_QUOTED = /'([^']*)'/y
const CFG_BLANKS = /[ \t\b\r\n]*/y

/**
 * Reads a string of kamailio.cfg: `'…'` raw, or `"…"` with escapes; several of the latter in a row are one. A NUL ends
 * the value, as it does in C.
 */
export function readCfgString(text: string, start: number): Read<string> {
  const raw = matchAt(SINGLE_QUOTED, text, start)
  if (raw) return { ok: true, value: untilNul(raw[1]!), end: start + raw[0].length }
  let value = ''
  let end = -1
  for (let at = start; text[at] === '"'; at = end + matchAt(CFG_BLANKS, text, end)![0].length) {
    const quoted = matchAt(DOUBLE_QUOTED, text, at)
    if (!quoted) return { ok: false, message: 'a string is not closed' }
    value += quoted[1]!.replace(ESCAPE, unescape)
    end = at + quoted[0].length
  }
  if (end !== -1) return { ok: true, value: untilNul(value), end }
  return {
    ok: false,
    message: text[start] === "'" ? 'a string is not closed' : 'a string in quotes is expected',
  }
}

/** Writes bytes as a string of kamailio.cfg that `readCfgString` and Kamailio read back. They must not hold NUL. */
export function writeCfgString(bytes: string): string {
  const isUtf8 =
    Buffer.from(Buffer.from(bytes, 'latin1').toString('utf8'), 'utf8').toString('latin1') === bytes
  const escaped = bytes.replace(/["\\]/g, '\\$&').replace(isUtf8 ? /\p{Cc}/gu : /[^ -~]/g, (char) => {
    const code = char.charCodeAt(0)
    // Bytes from 0x80 on are parts of UTF-8 letters there, not C1 control characters.
    return isUtf8 && code >= 0x80 ? char : `\\x${code.toString(16).padStart(2, '0')}`
  })
  return `"${escaped}"`
}

/** One `name=value`; `value` is empty when there is none. */
export type Parameter = readonly [name: string, value: string]

/**
 * Reads parameters. A value is bare, up to a blank, `,` or `;`, or stands in `'…'` or `"…"` without escapes. A `,` or `>`
 * after a parameter ends them all, and what follows is ignored without a word, as in Kamailio.
 */
export function readParameters(text: string): Read<readonly Parameter[]> {
  if (text === '') return { ok: false, message: 'is empty' }
  if (/^[ \t\r\n]/.test(text)) return { ok: false, message: 'starts with a blank' }
  const parameters: Parameter[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const match = matchAt(pattern, text, at)
    at += match?.[0].length ?? 0
    return match
  }
  for (;;) {
    const name = take(PARAMETER_NAME)![0]
    take(BLANKS)
    let value = ''
    if (take(EQUALS) && at < text.length) {
      const body = take(PARAMETER_BODY)
      if (!body)
        return { ok: false, message: `has no value, or a quote that is not closed, at ${labelOf(name)}` }
      value = body[1] ?? body[2] ?? body[3]!
      take(BLANKS)
    }
    parameters.push([name, value])
    if (at >= text.length || text[at] === ',' || text[at] === '>') {
      return { ok: true, value: parameters, end: at }
    }
    if (!take(SEPARATOR)) return { ok: false, message: `has text behind the value of ${labelOf(name)}` }
    if (at >= text.length) return { ok: false, message: 'ends with ;' }
  }
}

/** Writes a value for `readParameters` and Kamailio to read back; `undefined` if no way of quoting holds it. */
export function writeParameterValue(value: string): string | undefined {
  if (/[\0\r\n]/.test(value)) return undefined
  if (/^[^'" \t,;][^ \t,;]*$/.test(value)) return value
  const quote = ["'", '"'].find((char) => !value.includes(char))
  return quote && `${quote}${value}${quote}`
}

const BLANKS = /[ \t\r\n]*/y
const PARAMETER_NAME = /[^ \t\r\n,=;]*/y
const EQUALS = /=[ \t\r\n]*/y
const SEPARATOR = /;[ \t\r\n]*/y
const PARAMETER_BODY = /'([^']*)'|"([^"]*)"|([^'" \t\r\n,;][^ \t\r\n,;]*)/y

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function unescape(_: string, simple?: string, hex?: string, octal?: string): string {
  if (simple !== undefined) return SIMPLE_ESCAPES[simple]!
  const code = hex === undefined ? Number.parseInt(octal!, 8) : Number.parseInt(hex, 16)
  return String.fromCharCode(code & 0xff)
}

function untilNul(value: string): string {
  const nul = value.indexOf('\0')
  return nul === -1 ? value : value.slice(0, nul)
}

/** An attribute's name for a message. Where a secret has slipped into its place it is not repeated. */
function labelOf(name: string): string {
  return /^(?:id|name|value|expires)$/i.test(name) ? name.toLowerCase() : 'an unknown attribute'
}
