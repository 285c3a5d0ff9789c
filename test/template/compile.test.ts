import { describe, expect, it } from 'vitest'
import { viewOf } from '../../src/message/view.ts'
import { MISSING, TOO_LONG, compileTemplate } from '../../src/template/compile.ts'
import { errorOf } from '../keyring/error-of.ts'
import { bytesOf, contextOf, responseBytes } from '../support/messages.ts'

const issuesOf = (source: string): readonly string[] => {
  const error = errorOf(() => compileTemplate(source))
  expect(error.code).toBe('ERR_TEMPLATE_INVALID')
  return error.issues.map(({ path, message }) => `${path}: ${message}`)
}
const plain = contextOf(bytesOf())
const expand = (source: string, context = plain): string => {
  const result = compileTemplate(source).expand(context)
  return result.ok ? result.data.toString('latin1') : `missing ${result.missing}`
}

describe('literal text', () => {
  it.each([
    ['', ''],
    ['plain: text', 'plain: text'],
    ['$$', '$'],
    ['$$si$$', '$si$'],
    ['a$$$cs', 'a$314159'],
    ['$cs$cs', '314159314159'],
    ['$cs:$rm', '314159:INVITE'],
    ['$rm-x', 'INVITE-x'],
    ['($cs)', '(314159)'],
    ['{s.len}', '{s.len}'],
    ['é鍵', Buffer.from('é鍵').toString('latin1')],
    ['$cs{s.len}', '314159{s.len}'],
    ['$cs[0]', '314159[0]'],
  ])('%j becomes %j', (source, data) => {
    expect(expand(source)).toBe(data)
  })

  it.each(['a\r\nX-Evil: b', 'a\nb', 'a\rb', 'a\0b'])('T08: %j is refused', (source) => {
    expect(issuesOf(source)).toEqual(['template: it holds a line break or NUL'])
  })

  it('shows its expressions as written', () => {
    const { source, variables } = compileTemplate('x$si:$hdr(CSeq):$(fu{uri.user}{s.len})$$:$(hdr(Via)[-1])')
    expect(source).toBe('x$si:$hdr(CSeq):$(fu{uri.user}{s.len})$$:$(hdr(Via)[-1])')
    expect(variables).toEqual(['$si', '$hdr(CSeq)', '$(fu{uri.user}{s.len})', '$(hdr(Via)[-1])'])
  })
})

describe('faults say the column and the nearest name', () => {
  it.each([
    ['$', 'column 2: a pseudo-variable name is missing; write $$ for a dollar sign'],
    ['ab$', 'column 4: a pseudo-variable name is missing; write $$ for a dollar sign'],
    ['a$:b', 'column 3: a pseudo-variable name is missing; write $$ for a dollar sign'],
    ['$()', 'column 3: a pseudo-variable name is missing; write $$ for a dollar sign'],
    ['$si:$hdr(CSeq', 'column 9: this parenthesis is never closed'],
    ['$(hdr(X)[0)', 'column 9: this bracket is never closed'],
    ['$(hdr(X)[a])', 'column 9: an index is a number or *, not [a]'],
    ['$(hdr(X)[])', 'column 9: an index is a number or *, not []'],
    ['$(fu{s.len)', 'column 5: this brace is never closed'],
    ['$(fu', 'column 5: the end of the template where ")" should close $(fu…'],
    ['$(fu x)', 'column 5: unexpected " " where ")" should close $(fu…'],
    ['$(fu{s.len}x)', 'column 12: unexpected "x" where ")" should close $(fu…'],
    ['$hdr($ru)', 'column 5: a pseudo-variable inside a pseudo-variable is not supported'],
    ['$fuu', 'column 1: unknown pseudo-variable $fuu; did you mean $fu?'],
    ['$si:$hder(CSeq)', 'column 5: unknown pseudo-variable $hder; did you mean $hdr?'],
    ['$SI', 'column 1: unknown pseudo-variable $SI; did you mean $si?'],
    ['$completely_else', 'column 1: unknown pseudo-variable $completely_else'],
    ['$(fu{s.lenn})', 'column 5: unknown transformation {s.lenn}; did you mean {s.len}?'],
    ['$(fu{s.len}{uri.usr})', 'column 12: unknown transformation {uri.usr}; did you mean {uri.user}?'],
    ['$(fu{S.LEN})', 'column 5: unknown transformation {S.LEN}; did you mean {s.len}?'],
    ['$(fu{completely.else})', 'column 5: unknown transformation {completely.else}'],
    ['$(fu{})', 'column 5: unknown transformation {}'],
    ['$fu(x)', 'column 1: $fu: it takes no parameter'],
    ['$(fu[0])', 'column 1: $fu: it takes no index'],
    ['$hdr', 'column 1: $hdr: it needs a header name, as in $hdr(CSeq)'],
    ['$hdr()', 'column 1: $hdr: it needs a header name, as in $hdr(CSeq)'],
    ['$hdr(X Y)', 'column 1: $hdr: "X Y" is not a header name'],
    ['$hdr(X%2D)', 'column 1: $hdr: "X%2D" is not a header name'],
    ['$(hdrc(X)[0])', 'column 1: $hdrc: it takes no index'],
    ['$(hfl(X)[*])', 'column 1: $hfl: the index * is for $hdr'],
    ['$(ai[*])', 'column 1: $ai: the index * is for $hdr'],
    ['$ai(x)', 'column 1: $ai: it takes no parameter'],
    ['$(fu{s.len,1})', 'column 5: {s.len} of $fu: it takes no parameter'],
    [
      '$(fu{s.substr,1})',
      'column 5: {s.substr} of $fu: it needs an offset and a length of 0 or more, as in {s.substr,0,3}',
    ],
    [
      '$(fu{s.substr,1,-1})',
      'column 5: {s.substr} of $fu: it needs an offset and a length of 0 or more, as in {s.substr,0,3}',
    ],
    [
      '$(fu{s.select,1,ab})',
      'column 5: {s.select} of $fu: it needs an index and one separator character, as in {s.select,1,@}',
    ],
    [
      '$(fu{s.select,x,@})',
      'column 5: {s.select} of $fu: it needs an index and one separator character, as in {s.select,1,@}',
    ],
    ['$(fu{s.strip,x})', 'column 5: {s.strip} of $fu: it needs one whole number'],
    ['$(fu{s.strip})', 'column 5: {s.strip} of $fu: it needs one whole number'],
    ['$(fu{s.before})', 'column 5: {s.before} of $fu: it needs a parameter'],
    ['$(fu{s.before,$ru})', 'column 5: {s.before} of $fu: a pseudo-variable as parameter is not supported'],
    ['$(fu{s.replace,a})', 'column 5: {s.replace} of $fu: it needs two texts, as in {s.replace,a,b}'],
    ['$(fu{re.subst,/a/})', 'column 5: {re.subst} of $fu: it needs /expression/replacement/flags'],
    ['$(fu{re.subst})', 'column 5: {re.subst} of $fu: it needs /expression/replacement/flags'],
    ['$(fu{re.subst,/a/b/x})', 'column 5: {re.subst} of $fu: unknown flag in "x"; the flags are g, i and s'],
    [
      '$(fu{re.subst,/a/\\1/})',
      'column 5: {re.subst} of $fu: the replacement names group 1, which is not there',
    ],
  ])('%s', (source, issue) => {
    expect(issuesOf(source)).toEqual([issue])
  })

  it('an expression that does not compile is told', () => {
    expect(issuesOf('$(fu{re.subst,/(/b/})')[0]).toMatch(
      /^column 5: \{re\.subst\} of \$fu: the expression does not compile/,
    )
  })

  it.each(['TS', 'TV(s)', 'Tf', 'time(hour)', 'RANDOM', 'pp', 'mi', 'var(x)', 'avp(x)', '_s(x)'])(
    '$%s cannot mean the same to the peer and says so',
    (name) => {
      expect(issuesOf(`$rm:$${name}`)[0]).toMatch(/^column 5: \$\w+ cannot be used in a template: /)
    },
  )

  it('every fault is told at once', () => {
    expect(issuesOf('$fuu:$(ru{s.lenn}{s.substr}):$hdr\n')).toEqual([
      'column 1: unknown pseudo-variable $fuu; did you mean $fu?',
      'column 10: unknown transformation {s.lenn}; did you mean {s.len}?',
      'column 18: {s.substr} of $ru: it needs an offset and a length of 0 or more, as in {s.substr,0,3}',
      'column 30: $hdr: it needs a header name, as in $hdr(CSeq)',
      'template: it holds a line break or NUL',
    ])
    expect(issuesOf('$:$(fu')).toHaveLength(2)
  })

  it.each(['constructor', '__proto__', 'toString'])('the name %s is unknown, not inherited', (name) => {
    expect(issuesOf(`$${name}`)[0]).toMatch(/unknown pseudo-variable/)
    expect(issuesOf(`$(fu{s.${name}})`)[0]).toMatch(/unknown transformation/)
  })
})

describe('T06: what is missing, empty, or the text <null>', () => {
  const missing = contextOf(bytesOf())
  const empty = contextOf(bytesOf({ add: ['X-A:'] }))
  const text = contextOf(bytesOf({ add: ['X-A: <null>'] }))
  const all = [missing, empty, text]

  it('null-text, the default, writes what Kamailio writes', () => {
    expect(all.map((context) => expand('[$hdr(X-A)]', context))).toEqual(['[<null>]', '[]', '[<null>]'])
    expect(all.map((context) => expand('[$(hdr(X-A){s.len})]', context))).toEqual(['[]', '[0]', '[6]'])
  })

  it('fail tells the three apart', () => {
    const template = compileTemplate('$rm[$hdr(X-A)]', { whenMissing: 'fail' })
    expect(all.map((context) => template.expand(context))).toEqual([
      { ok: false, missing: '$hdr(X-A)' },
      { ok: true, data: Buffer.from('INVITE[]') },
      { ok: true, data: Buffer.from('INVITE[<null>]') },
    ])
    const transformed = compileTemplate('$(hdr(X-A){s.len})', { whenMissing: 'fail' })
    expect(transformed.expand(missing)).toEqual({ ok: false, missing: '$(hdr(X-A){s.len})' })
  })
})

describe('the three ways of expanding agree', () => {
  const source = 'x$si:$fu:$(fu{s.toupper}):$hdr(X-Long):$hdr(Nope):$(hdr(Nope){s.len}):$rb$$'
  const context = contextOf(bytesOf({ add: [['X-Long', 'l'.repeat(300)]], body: 'b\xff\0b' }))

  it('expand, write and explain', () => {
    const template = compileTemplate(source)
    const expanded = template.expand(context)
    const target = Buffer.alloc(1000)
    const end = template.write(viewOf(context.message), context, target, 7)
    expect(expanded.ok && expanded.data.equals(target.subarray(7, end))).toBe(true)
    const explained = template.explain(context)
    expect(explained.map(({ expression }) => expression)).toEqual(template.variables)
    expect(explained.map(({ value }) => value)).toEqual([
      '192.0.2.1',
      'sip:alice@atlanta.example',
      'SIP:ALICE@ATLANTA.EXAMPLE',
      'l'.repeat(300),
      null,
      null,
      'b\xff\0b',
    ])
  })

  it('write stops at the end of its room, to the byte', () => {
    const template = compileTemplate(source)
    const expanded = template.expand(context)
    const size = expanded.ok ? expanded.data.length : 0
    for (let room = 0; room < size; room++) {
      expect(template.write(viewOf(context.message), context, Buffer.alloc(room), 0)).toBe(TOO_LONG)
    }
    expect(template.write(viewOf(context.message), context, Buffer.alloc(size), 0)).toBe(size)
  })

  it('write says what is missing', () => {
    const template = compileTemplate(source, { whenMissing: 'fail' })
    expect(template.write(viewOf(context.message), context, Buffer.alloc(1000), 0)).toBe(MISSING)
  })

  it('a response has no Request-URI', () => {
    expect(expand('$ru|$rU|$rs|$rr', contextOf(responseBytes('404 Not  Found ')))).toBe(
      '<null>|<null>|404|Not  Found ',
    )
  })
})
