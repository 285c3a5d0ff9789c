import { describe, expect, it } from 'vitest'
import { compileTemplate } from '../../src/template/compile.ts'
import { errorOf } from '../keyring/error-of.ts'
import { transformed } from '../support/transformed.ts'

type Row = readonly [text: string, subst: string, result: string | null]

const length = (text: string, subst: string): number | undefined =>
  transformed(text, `{re.subst,${subst}}`)?.length

describe('{re.subst}', () => {
  it.each<Row>([
    ['banana', '/a/o/', 'bonana'],
    ['banana', '/a/o/g', 'bonono'],
    ['banana', '/A/o/gi', 'bonono'],
    ['banana', '/x/o/g', 'banana'],
    ['banana', '/(b)(a)/\\2\\1/', 'abnana'],
    ['banana', '/^(.*)$/<\\1>/', '<banana>'],
    ['banana', '/(x)?b/[\\1]/', '[]anana'],
    ['banana', '/b/\\0\\0/', 'bbanana'],
    ['banana', '/an//g', 'ba'],
    ['a/b', '/\\//-/', 'a-b'],
    ['a/b', '#/#-#', 'a-b'],
    ['a|b', '|\\||-|', 'a-b'],
    ['ab', '/b/\\n\\r\\t\\x/', 'a\n\r\tx'],
    ['a\nb', '/^b/c/', 'a\nc'],
    ['a\nb', '/a$/c/', 'c\nb'],
    ['a\nb', '/a.b/c/', 'a\nb'],
    ['a\nb', '/a.b/c/s', 'c'],
    ['a\nb', '/^b/c/s', 'a\nb'],
    ['xyz', '/x|xy|xyz/-/', '-'],
    ['aab', '/[^a]+/-/', 'aa-'],
    ['aXb1', '/[[:upper:]][[:alpha:]]/-/', 'a-1'],
    ['\xff\xe9', '/\xff/-/', '\xff\xe9'],
    [Buffer.from('clé').toString('latin1'), '/é/e/', 'cle'],
    ['a\nb', '/[^b]+/-/g', '-\nb'],
    ['a\nb', '/[^b]+/-/s', '-b'],
    ['a]b', '/[]]/-/', 'a-b'],
    ['a[b', '/[[]/-/', 'a-b'],
    ['a]b', '/[^]]+/-/g', '-]-'],
    ['a.b', '/[[:punct:]]/-/', 'a-b'],
    ['aab', '/a{2}/-/', '-b'],
    ['ab c', '/\\w+\\b/-/', '- c'],
    ['a-b', '/[a-]+/x/', 'xb'],
    ['', '/a/b/', null],
    // An empty match is an error there.
    ['banana', '/x*/-/', null],
    ['xa', '/x*/-/g', null],
    ['banana', '/$/-/', null],
  ])('%j %s is %j', (text, subst, result) => {
    expect(transformed(text, `{re.subst,${subst}}`)).toBe(result)
  })

  it.each([
    ['/a+?/-/', 'the expression holds ?, which Kamailio reads differently: it repeats a repetition'],
    ['/a{2}*/-/', 'the expression holds *, which Kamailio reads differently: it repeats a repetition'],
    ['/\\d/-/', 'the expression holds \\d, which Kamailio reads differently: POSIX knows no such escape'],
    ['/\\n/-/', 'the expression holds \\n, which Kamailio reads differently: POSIX knows no such escape'],
    ['/(a)\\1/-/', 'the expression holds \\1, which Kamailio reads differently: POSIX knows no such escape'],
    [
      '/[\\]]/-/',
      'the expression holds [\\], which Kamailio reads differently: in brackets POSIX takes a backslash for itself',
    ],
    ['/(?:a)/-/', 'the expression holds (?, which Kamailio reads differently: POSIX knows no such group'],
    [
      '/a{,2}/-/',
      'the expression holds {, which Kamailio reads differently: it begins no repetition; write [{] for a brace',
    ],
    ['/[a/-/', 'the expression holds [, which Kamailio reads differently: it is never closed'],
  ])('T10: %s, which glibc and RE2 read differently, is refused', (subst, fault) => {
    const [issue] = errorOf(() => compileTemplate(`$(rb{re.subst,${subst}})`)).issues
    expect(issue?.message).toBe(`{re.subst} of $rb: ${fault}`)
  })

  it('T10: has the limits of Kamailio: 8191 bytes of text and of result, 1022 of one replacement', () => {
    expect(length('z'.repeat(8191), '/q/-/')).toBe(8191)
    expect(length('z'.repeat(8192), '/q/-/')).toBeUndefined()
    expect(length('z'.repeat(4095), '/z/yy/g')).toBe(8190)
    expect(length('z'.repeat(4096), '/z/yy/g')).toBeUndefined()
    expect(length('z'.repeat(1020), '/^(.*)$/<\\1>/')).toBe(1022)
    expect(length('z'.repeat(1021), '/^(.*)$/<\\1>/')).toBeUndefined()
    expect(length('z'.repeat(1022), '/(z+)(q?)/\\2\\1/')).toBe(1022)
    expect(length('z'.repeat(1023), '/(z+)(q?)/\\2\\1/')).toBeUndefined()
  })

  it.each([
    '/(a+)+$/-/',
    '/(a|aa)+$/-/',
    '/(a|a)*b/-/g',
    '/(.*)*x/-/g',
    '/(a*)*c/-/',
    '/^(([a-z])+.)+[A-Z]([a-z])+$/-/',
    '/(a?){30}a{30}c/-/',
  ])('T21: %s takes linear time on a text that would stall a backtracking engine', (subst) => {
    const text = `${'a'.repeat(8000)}!`
    // A backtracking engine does not come back within the test's time limit; no clock is asked.
    expect(transformed(text, `{re.subst,${subst}}`)).not.toBeUndefined()
  })
})
