/**
 * Which pseudo-variables have the same value here, where a message is signed, and on the wire, where the peer checks it:
 * the drachtio server writes the rest after the application.
 * @module
 */
import { ConfigError, type Issue } from '../errors.ts'
import { lexTemplate, type Expression } from '../template/lex.ts'
import type { Agreement } from '../xkeys/agreement.ts'

/** A part of a message that a template can read. */
export type Field = 'Request-URI' | 'From' | 'To' | 'To tag' | 'Call-ID' | 'CSeq' | 'local' | 'other'

const variables = (names: string, field: Field): readonly (readonly [string, Field])[] =>
  names.split(' ').map((name) => [name, field])

const BOTH = [
  ...variables('rm rmid rv mt mts rb bs', 'other'),
  ...variables('fu fU fd fUl Au', 'From'),
  ...variables('tu tU td tUl', 'To'),
  ...variables('ci hdr(call-id)', 'Call-ID'),
  ...variables('cs csb hdr(cseq)', 'CSeq'),
  ...variables('Ri Rp', 'local'),
]
const STABLE = {
  request: new Map([...BOTH, ...variables('ru rU rd rp rP rz rUl ou oU od op oP', 'Request-URI')]),
  response: new Map([
    ...BOTH,
    ...variables('rs proto pr', 'other'),
    ...variables('ft', 'From'),
    ...variables('tt', 'To tag'),
  ]),
}

/** Why the others are not stable. */
const REASONS: readonly (readonly [
  names: RegExp,
  direction: 'request' | 'response' | 'both',
  reason: string,
])[] = [
  [/^(?:si|siz|sp|su|sut)$/, 'both', 'a signer has no source; its own address is $Ri and $Rp'],
  [/^(?:fn|tn)$/, 'both', 'the server writes display names anew'],
  [/^rr$/, 'response', 'the phrase is filled in by drachtio-srf'],
  [/^(?:[ro][uUdpP]|rz|rUl)$/, 'response', 'a response has no Request-URI'],
  [/^rs$/, 'request', 'a request has no status'],
  [/^ft$/, 'request', 'the server makes the From tag'],
  [/^tt$/, 'request', 'the first request of a dialog has no To tag'],
  [/^(?:proto|pr)$/, 'request', 'the server chooses the transport'],
  [/^ct$|^h\w+\((?:contact|m)\)$/, 'both', 'the server makes the Contact'],
  [/^h\w+\((?:from|f|to|t)\)$/, 'both', 'the server writes this header anew; read its URI instead'],
  [/^(?:mb|ml)$/, 'both', 'the server writes the message'],
]

/**
 * Checks that an agreement can be used to sign through this host, and tells what its template reads.
 * @throws ConfigError `ERR_AGREEMENT_INVALID` with every variable that has another value on the wire, and why.
 */
export function fieldsOf(
  agreement: Agreement,
  direction: 'request' | 'response',
  local: 'known' | 'unknown',
): ReadonlySet<Field> {
  const issues: Issue[] = []
  const template = agreement[direction]?.sender
  const path = `${direction}.sender`
  // The server drops a header whose name has any other character.
  if (!/^[A-Za-z0-9_-]+$/.test(agreement.header)) {
    issues.push({
      path: 'header',
      message: `drachtio sends no header ${agreement.header}; letters, digits, - and _ only`,
    })
  }
  if (template === undefined)
    issues.push({ path: direction, message: `the agreement signs no ${direction}s` })
  const fields = new Set<Field>()
  for (const expression of expressionsOf(template?.source ?? '')) {
    const key = keyOf(expression)
    const field = STABLE[direction].get(key)
    if (field === undefined) {
      const [, , reason] =
        REASONS.find(([names, at]) => (at === 'both' || at === direction) && names.test(key)) ?? []
      const message = `${expression.source} cannot be signed through drachtio: ${reason ?? 'the server may add or change it after the application'}`
      issues.push({ path, message })
    } else if (field === 'local' && local === 'unknown') {
      const message = `${expression.source}: the server chooses the address that a request leaves from; give it as local`
      issues.push({ path, message })
    } else fields.add(field)
  }
  if (issues.length > 0) throw new ConfigError('ERR_AGREEMENT_INVALID', issues)
  return fields
}

/** Whether the server writes another text than it is given: its own address for `localhost`, a folded line cut short. */
export function isRewritten(value: string): boolean {
  return /[\r\n\0]|@localhost/.test(value)
}

function expressionsOf(source: string): readonly Expression[] {
  const lexed = lexTemplate(source)
  return lexed.ok ? lexed.parts.filter((part) => part.kind === 'expression') : []
}

/** `fu`, `hdr(cseq)`; a compact name is its long one. */
function keyOf({ name, inner }: Expression): string {
  if (inner === undefined) return name
  const header = inner.trimEnd().toLowerCase()
  return `${name}(${header === 'i' ? 'call-id' : header})`
}
