import { describe, expect, it } from 'vitest'
import { TRANSFORMATIONS } from '../../src/template/transformations.ts'
import { hashOf, transformed } from '../support/transformed.ts'

type Row = readonly [text: string, transformations: string, result: string | null]

const UTF8 = Buffer.from('clé').toString('latin1')

describe('{s.…}', () => {
  it.each<Row>([
    ['abc', '{s.len}', '3'],
    ['', '{s.len}', '0'],
    [UTF8, '{s.len}', '4'],
    ['abc', '{s.md5}', hashOf('md5', 'abc')],
    ['', '{s.sha256}', hashOf('sha256', '')],
    ['\xff\0', '{s.sha384}', hashOf('sha384', '\xff\0')],
    ['abc', '{s.sha512}', hashOf('sha512', 'abc')],
    ['aBZ[\xc9\xe9', '{s.tolower}', 'abz[\xc9\xe9'],
    ['azB{\xc9\xe9', '{s.toupper}', 'AZB{\xc9\xe9'],
    ['sip:a@b', '{s.substr,0,3}', 'sip'],
    ['sip:a@b', '{s.substr,4,0}', 'a@b'],
    ['sip:a@b', '{s.substr,4,99}', 'a@b'],
    ['sip:a@b', '{s.substr,-3,2}', 'a@'],
    ['sip:a@b', '{s.substr,-99,2}', null],
    ['sip:a@b', '{s.substr,7,1}', null],
    ['sip:a@b', '{s.substr,6,1}', 'b'],
    ['a,b,,c', '{s.select,1,,}', 'b'],
    ['a@b@c', '{s.select,0,@}', 'a'],
    ['a@b@c', '{s.select,-1,@}', 'c'],
    ['a@b@c', '{s.select,3,@}', ''],
    ['a@b@c', '{s.select,-4,@}', ''],
    ['a b', '{s.select,1, }', 'b'],
    ['a b', '{s.select,1,\\s}', 'b'],
    ['a;b', '{s.select,+1,;}', 'b'],
    ['abcdef', '{s.strip,2}', 'cdef'],
    ['abcdef', '{s.strip,9}', ''],
    ['abcdef', '{s.strip,-1}', null],
    ['abcdef', '{s.striptail,2}', 'abcd'],
    ['abcdef', '{s.striptail,9}', ''],
    ['a@b@c', '{s.before,@}', 'a'],
    ['abc', '{s.before,@}', 'abc'],
    ['a@b@c', '{s.after,@}', 'b@c'],
    ['abc', '{s.after,@}', ''],
    ['a:b:c', '{s.count,:}', '2'],
    ['abcabc', '{s.rm,bc}', 'aa'],
    [UTF8, '{s.rm,é}', 'cl'],
    [' a \t\r\n b', '{s.rmws}', 'ab'],
    [' \t\r\n a b \r\n', '{s.trim}', 'a b'],
    [' \t\r\n a \r\n', '{s.ltrim}', 'a \r\n'],
    [' a \t\r\n', '{s.rtrim}', ' a'],
    [' \r\n', '{s.trim}', ''],
    ['\xa0\x0b\x0ca\xa0', '{s.trim}', '\xa0\x0b\x0ca\xa0'],
    ['"a"', '{s.unquote}', 'a'],
    ["'a'", '{s.unquote}', 'a'],
    ['"a', '{s.unquote}', '"a'],
    ['"', '{s.unquote}', '"'],
    ['""', '{s.unquote}', ''],
    ['a1b+2', '{s.numeric}', '12'],
    ['aXbX', '{s.replace,X,yz}', 'ayzbyz'],
    ['aXb', '{s.replace,X,}', 'ab'],
    ['a.b', '{s.replace,.,é}', `a${Buffer.from('é').toString('latin1')}b`],
    ['+0042', '{s.int}', '+0042'],
    ['-1', '{s.int}', '-1'],
    ['2147483647', '{s.int}', '2147483647'],
    ['2147483648', '{s.int}', null],
    ['-2147483649', '{s.int}', null],
    ['-', '{s.int}', '-'],
    ['', '{s.int}', ''],
    ['1 ', '{s.int}', null],
    ['1a', '{s.int}', null],
    ['a\xffb', '{s.encode.base64}', 'Yf9i'],
    ['Yf9i', '{s.decode.base64}', 'a\xffb'],
    ['a b', '{s.decode.base64}', null],
    ['a\xff', '{s.encode.hexa}', '61ff'],
    ['61fF', '{s.decode.hexa}', 'a\xff'],
    ['61f', '{s.decode.hexa}', null],
    ['a\'"\\\0', '{s.escape.common}', 'a\\\'\\"\\\\\\0'],
    ['a\\\'\\"\\\\\\0\\n', '{s.unescape.common}', 'a\'"\\\0\\n'],
    ['a b%@', '{s.escape.user}', 'a%20b%25%40'],
    ["a-_.!~*'()&=+$,;?/", '{s.escape.user}', "a-_.!~*'()&=+$,;?%2f"],
    ['\xe9', '{s.escape.user}', null],
    ['a%20b%25', '{s.unescape.user}', 'a b%'],
    ['%0a', '{s.unescape.user}', null],
    ['%4', '{s.unescape.user}', null],
    ['a%', '{s.unescape.user}', null],
  ])('%j %s is %j', (text, transformations, result) => {
    expect(transformed(text, transformations)).toBe(result)
  })

  it.each<Row>([
    ['ab\0cd', '{s.substr,1,3}', 'b\0\0'],
    ['a@b\0c@d', '{s.select,1,@}', 'b\0\0'],
    ['ab\0cd', '{s.strip,1}', 'b\0\0\0'],
    ['ab\0cd', '{s.striptail,1}', 'ab\0\0'],
  ])(
    'T07: what Kamailio copies with strncpy, %j %s, is all NUL behind a NUL',
    (text, transformations, result) => {
      expect(transformed(text, transformations)).toBe(result)
    },
  )
})

describe('{uri.…}', () => {
  const URI =
    'sips:al:pw@Host.x:5070;transport=TCP;user=phone;x="q";x=2;lr;r2=on;maddr=m;ttl=3;method=INVITE?h=1&i'

  it.each<Row>([
    [URI, '{uri.scheme}', 'sips'],
    [URI, '{uri.user}', 'al'],
    [URI, '{uri.passwd}', 'pw'],
    [URI, '{uri.host}', 'Host.x'],
    [URI, '{uri.port}', '5070'],
    [URI, '{uri.headers}', 'h=1&i'],
    [URI, '{uri.transport}', 'TCP'],
    [URI, '{uri.uparam}', 'phone'],
    [URI, '{uri.ttl}', '3'],
    [URI, '{uri.maddr}', 'm'],
    [URI, '{uri.method}', 'INVITE'],
    [URI, '{uri.lr}', ''],
    [URI, '{uri.r2}', 'on'],
    [URI, '{uri.param,X}', '2'],
    [URI, '{uri.param,nope}', ''],
    [URI, '{uri.tosocket}', 'tcp:Host.x:5070'],
    ['sip:h', '{uri.port}', ''],
    ['sip:h', '{uri.user}', ''],
    ['sip:h', '{uri.params}', ''],
    ['sip:h', '{uri.tosocket}', ''],
    ['sip:h;transport=tls', '{uri.tosocket}', 'tls:h:5061'],
    ['sip:[::1]:5060', '{uri.host}', '[::1]'],
    ['tel:+1;x', '{uri.user}', '+1'],
    ['http://h', '{uri.host}', null],
    ['', '{uri.host}', null],
    ['sip:a@b@c', '{uri.user}', null],
  ])('%j %s is %j', (text, transformations, result) => {
    expect(transformed(text, transformations)).toBe(result)
  })
})

describe('{nameaddr.…} and {tobody.…}', () => {
  const TEXT = '"A <x>" <sip:a@b;c=1>;tag="t;1";q'

  it.each<Row>([
    [TEXT, '{nameaddr.uri}', 'sip:a@b;c=1'],
    [TEXT, '{nameaddr.name}', '"A <x>" '],
    [TEXT, '{nameaddr.len}', '21'],
    ['sip:a;tag=1', '{nameaddr.uri}', 'sip:a;tag=1'],
    ['sip:a;tag=1', '{nameaddr.name}', ''],
    ['<sip:a', '{nameaddr.uri}', null],
    ['', '{nameaddr.uri}', null],
    [TEXT, '{tobody.uri}', 'sip:a@b;c=1'],
    [TEXT, '{tobody.tag}', 't;1'],
    [TEXT, '{tobody.display}', '"A <x>"'],
    [TEXT, '{tobody.params}', 'tag="t;1";q'],
    [TEXT, '{tobody.user}', 'a'],
    [TEXT, '{tobody.host}', 'b'],
    ['sip:b', '{tobody.tag}', ''],
    ['sip:b', '{tobody.display}', ''],
    ['http://b', '{tobody.uri}', null],
    ['<sip:a>, <sip:b>', '{tobody.uri}', null],
    ['', '{tobody.uri}', null],
    [TEXT, '{nameaddr.uri}{uri.param,c}', '1'],
    ['<sip:a', '{nameaddr.uri}{s.len}', null],
  ])('%j %s is %j', (text, transformations, result) => {
    expect(transformed(text, transformations)).toBe(result)
  })
})

describe('{param.…}', () => {
  it.each<Row>([
    ['a=1;b=2;A=3', '{param.value,a}', '3'],
    ['a=1;b="x;y";c', '{param.value,b}', 'x;y'],
    ["b='x\"y'", '{param.value,b}', 'x"y'],
    ['a=1;b', '{param.value,b}', ''],
    ['a=1', '{param.value,nope}', ''],
    [' a = 1 ; b = 2 ', '{param.value,b}', '2'],
    ['a=1,b=2', '{param.value,b}', ''],
    ['a=1;b=2', '{param.valueat,1}', '2'],
    ['a=1;b=2', '{param.valueat,-1}', '2'],
    ['a=1;b=2', '{param.name,0}', 'a'],
    ['a=1;b=2;', '{param.count}', '2'],
    ['a=1;b=2', '{param.in,B}', '1'],
    ['a=1;b=2', '{param.in,c}', '0'],
    ['a=1 b=2', '{param.value,a}', null],
    ['a="1', '{param.value,a}', null],
    ['a=;b', '{param.value,a}', null],
    ['b;a= ', '{param.count}', '2'],
    ['<sip:a >;b=1', '{param.count}', '1'],
    ['', '{param.count}', null],
  ])('%j %s is %j', (text, transformations, result) => {
    expect(transformed(text, transformations)).toBe(result)
  })
})

describe('{line.…}', () => {
  const TEXT = 'one\r\ntwo\nthree'

  it.each<Row>([
    [TEXT, '{line.count}', '3'],
    [TEXT, '{line.at,0}', 'one'],
    [TEXT, '{line.at,1}', 'two'],
    [TEXT, '{line.at,-1}', 'three'],
    [TEXT, '{line.at,3}', ''],
    [TEXT, '{line.sw,t}', 'two'],
    [TEXT, '{line.sw,x}', ''],
    ['', '{line.count}', null],
  ])('%j %s is %j', (text, transformations, result) => {
    expect(transformed(text, transformations)).toBe(result)
  })
})

describe('T21: whatever a peer sends, a transformation takes linear time', () => {
  const SIZE = 60_000
  // No clock is asked: at this size linear work takes milliseconds, while work that grows with the square, done this
  // often, runs into the time limit of the test.
  const TIMES = 3
  const parameters: Readonly<Record<string, string>> = {
    's.substr': ',1,0',
    's.select': ',-1, ',
    's.strip': ',1',
    's.striptail': ',1',
    's.before': ',x',
    's.after': ',x',
    's.count': ', ',
    's.rm': ', x',
    's.replace': ', x,y',
    'uri.param': ',x',
    'param.value': ',x',
    'param.valueat': ',-1',
    'param.name': ',-1',
    'param.in': ',x',
    'line.at': ',-1',
    'line.sw': ',x',
    're.subst': ',/(a| )*x/y/g',
  }
  const frames = [
    ['', 'x'],
    ['sip:', '@x'],
    ['<', '>'],
    ['"', '"x'],
    ['a=', ''],
  ] as const
  const pieces = [' ', 'a', '\r', '\n', '\\', '"', '<', ';', ',', '=', '%', ' ;x=', 'sip:', '"<', '\r\n ']

  it.each([...TRANSFORMATIONS.keys()])('{%s}', (name) => {
    const transformation = `{${name}${parameters[name] ?? ''}}`
    for (const piece of pieces) {
      for (const [front, back] of frames) {
        const text = `${front}${piece.repeat(SIZE / piece.length)}${back}`
        for (let i = 0; i < TIMES; i++) transformed(text, transformation)
      }
    }
    expect.assertions(0)
  })
})
