/**
 * Messages for the differential test: put together by chance from well-formed and odd parts, then damaged a little. The
 * same seed gives the same messages.
 */

/** Random numbers that can be had again. */
export interface Dice {
  /** A whole number from 0 to below `limit`. */
  below(limit: number): number
  pick<T>(from: readonly T[]): T
  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean
}

/** Mulberry32. */
export function createDice(seed: number): Dice {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    pick: (from) => from[below(from.length)]!,
    chance: (percent) => below(100) < percent,
  }
}

const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

const METHODS = [
  'INVITE',
  'OPTIONS',
  'BYE',
  'MESSAGE',
  'ACK',
  'CANCEL',
  'REGISTER',
  'PRACK',
  'X-NEW',
  'invite',
]

const URIS = [
  'sip:alice@atlanta.example',
  'sip:atlanta.example',
  'sips:alice@atlanta.example:5061',
  'sip:alice:secret@atlanta.example:5070;transport=tcp;lr',
  'sip:alice@atlanta.example;transport=TLS;maddr=192.0.2.1?Subject=x&Priority=urgent',
  'SIP:Alice@ATLANTA.example',
  'sip:+15550100;phone-context=+1@atlanta.example;user=phone',
  'sip:a%20b%40c@atlanta.example',
  'sip:alice@[2001:DB8::1]:5060',
  'sip:[::1]',
  'sip:alice@192.0.2.7:5060',
  'sip:alice@atlanta_x.example',
  'sip:alice@atlanta.example:99999',
  'sip:alice@atlanta.example:',
  'sip:@atlanta.example',
  'sip:a!b$c&d@atlanta.example',
  'sip:atlanta.example;x=y@z',
  'sip:a;b=c@atlanta.example;d',
  'tel:+15550100',
  'tel:+1-555-0100;phone-context=example.com',
  'urn:service:sos',
  'http://atlanta.example/',
  'sip:',
  '*',
  utf8('sip:zoë@atlanta.example'),
]

const NAMES = [
  '',
  'Alice',
  'Alice B. Carol',
  '"Alice"',
  '"Alice \\"the <one>\\""',
  '"back\\\\slash"',
  '""',
  '"no end',
  "'single'",
  '*',
  utf8('Zoë'),
  utf8('"田中"'),
  'a;b',
  'a,b',
]

const TAGS = [
  '',
  ';tag=abc',
  ';tag=abc-._~',
  ';TAG=upper',
  ';tag="quoted"',
  '; tag = spaced ',
  ' ;tag=before',
  ';tag=',
  ';tag',
  ';tag=one;tag=two',
  ';x=y;tag=z;lr',
  ';x="a;b,c>d";tag=e',
  ';x=;tag=f',
  ';tag=fo\r\n ld',
  '\r\n ;tag=folded',
  ';;tag=double',
  ' tag=nosemicolon',
  ',<sip:second@b.example>;tag=comma',
]

const GAPS = ['', ' ', '\t', '  ', '\r\n ', ' \r\n\t ']

const TEXTS = [
  '',
  'plain',
  'two words',
  'trailing blanks  ',
  'tab\tinside',
  'fold\r\n  inside',
  '\r\n fold first',
  'a, b,c ,,d',
  '"quoted, text";x=y',
  'x=1;y="two; three";X=3',
  'k=v, other',
  ';',
  '+42',
  '00042',
  '99999999999999999999',
  utf8('ключ 漢字'),
  'nul\0inside',
  '<sip:inner@a.example>;p=q',
  '%41%zz',
  'a:b@c?d#e',
]

const IDENTITIES = [
  '<sip:alice@atlanta.example>',
  '"A" <sip:a@atlanta.example>, <tel:+15550100>',
  'sip:alice@atlanta.example',
  'tel:+15550100',
  '<sip:alice@atlanta.example>;x=y',
  '<sip:a@b>,',
  '"open <sip:a@b>',
  '',
]

const CONTACTS = [
  '<sip:alice@127.0.0.1:5066>',
  'sip:alice@127.0.0.1;expires=60',
  '"A, B" <sip:a@127.0.0.1;ob>;q=0.7, <sip:b@127.0.0.1>',
  '*',
  ' <sip:a@b> ; +sip.instance="<urn:uuid:1>" ',
  '',
  '<sip:a@b',
]

const REASONS = ['OK', 'Ringing', '', 'Busy  Here ', ' leading', utf8('Größer'), 'a\tb']
const LONG_TO_COMPACT: Readonly<Record<string, string>> = {
  From: 'f',
  To: 't',
  'Call-ID': 'i',
  Contact: 'm',
  'Content-Type': 'c',
  Subject: 's',
  'Content-Length': 'l',
}
/** What a byte may become, or what may come between two. */
const DAMAGE = [
  ' ',
  '\t',
  '\r\n ',
  '\n',
  '\r\n',
  '"',
  '<',
  '>',
  ';',
  ',',
  '=',
  ':',
  '@',
  '\\',
  '\0',
  '\x7f',
  '\xe9',
]
const MORE_DAMAGE = [
  '%',
  '?',
  '(',
  ')',
  '[',
  ']',
  '/',
  '*',
  '+',
  '-',
  '_',
  '.',
  '0',
  '9',
  'a',
  'Z',
  '\r',
  '\v',
  '&',
]

type Header = readonly [name: string, value: string]

function address(dice: Dice): string {
  const uri = dice.chance(60) ? URIS[0]! : dice.pick(URIS)
  const name = dice.chance(50) ? dice.pick(['', 'Alice', '"Alice"']) : dice.pick(NAMES)
  const tag = dice.chance(50) ? ';tag=abc' : dice.pick(TAGS)
  const gap = dice.chance(70) ? ' ' : dice.pick(GAPS)
  const form = dice.below(100)
  if (form < 70) return `${name}${name === '' ? '' : gap}<${uri}>${tag}`
  if (form < 85) return `${uri}${tag}`
  if (form < 90) return `${name}${gap}< ${uri} >${tag}`
  if (form < 94) return `${name}${gap}<${uri}${tag}`
  if (form < 97) return `${name}${gap}<${uri}> ${gap}${tag}${gap}`
  return `${gap}${name}<${uri}>${tag};${dice.pick(TEXTS)}`
}

function headerLine(dice: Dice, [name, value]: Header): string {
  const compact = LONG_TO_COMPACT[name]
  let written = compact !== undefined && dice.chance(15) ? compact : name
  if (dice.chance(8)) written = dice.pick([written.toUpperCase(), written.toLowerCase()])
  const colon = dice.chance(80) ? ': ' : dice.pick([':', ' : ', '\t:', ':\r\n ', ':  ', ':\t', ' :'])
  const end = dice.chance(90) ? '' : dice.pick([' ', '\t ', '\r\n ', '  '])
  return `${written}${colon}${value}${end}`
}

/** Where a message is to come from and go back to. */
export interface Path {
  /** Top Via of a response, so that the proxy takes it for its own; with `back` behind it. */
  readonly proxy: string
  readonly back: string
}

/** The message of one seed. */
export function mutant(seed: number, { proxy, back }: Path): Buffer {
  const dice = createDice(seed)
  const isResponse = dice.chance(25)
  const method = dice.chance(70) ? 'INVITE' : dice.pick(METHODS)
  const version = dice.chance(96)
    ? 'SIP/2.0'
    : dice.pick(['sip/2.0', 'SIP/2.1', 'SIP/3.0', 'SIP/2.0 ', 'SIP'])
  const uri = dice.chance(40) ? URIS[0]! : dice.pick(URIS)
  const start = isResponse
    ? `${version} ${dice.pick(['200', '180', '486', '099', '700', '20', '2000'].slice(0, dice.chance(90) ? 3 : 7))} ${dice.pick(REASONS)}`
    : `${method}${dice.chance(97) ? ' ' : dice.pick(['  ', '\t'])}${uri}${dice.chance(97) ? ' ' : dice.pick(['  ', '\t'])}${version}`
  const via = (sentBy: string): string => {
    const protocol = dice.chance(95)
      ? 'SIP/2.0/UDP'
      : dice.pick(['SIP / 2.0 / UDP', 'sip/2.0/udp', 'SIP/2.0/TCP'])
    const parameters = dice.chance(90)
      ? `;branch=z9hG4bK${seed}`
      : dice.pick([
          '',
          ';branch=1;rport',
          ' ;rport=1 ; branch=x',
          ';ttl=1;maddr=192.0.2.1',
          ';x="y;z"',
          ';received=1.2.3.4',
        ])
    return `${protocol} ${sentBy}${parameters}`
  }
  const cseq = dice.chance(80)
    ? `7 ${method}`
    : dice.pick([
        `007 ${method}`,
        `7  ${method}`,
        `7\t${method} `,
        `4294967296 ${method}`,
        `7 ${method} x`,
        '7',
        `-1 ${method}`,
        '7 FOO',
      ])
  const body = dice.chance(50)
    ? ''
    : dice.pick(['hello', 'v=0\r\no=- 1 1\r\n', '\r\n\r\n', 'nul\0body', utf8('тело')])
  const length = dice.chance(85)
    ? String(body.length)
    : dice.pick(['0', ' 3 ', '99999', 'abc', '-1', '', '1 2', '0005'])

  const headers: Header[] = [
    ['Via', isResponse ? via(proxy) : via(back)],
    ...(isResponse || dice.chance(10) ? [['Via', via(back)] as const] : []),
    ['From', address(dice)],
    ['To', address(dice)],
    ['Call-ID', dice.chance(80) ? `mutant-${seed}@a.example` : dice.pick(TEXTS)],
    ['CSeq', cseq],
  ]
  if (dice.chance(80))
    headers.push(['Max-Forwards', dice.chance(90) ? '70' : dice.pick(['0', 'x', '300', ' 70 '])])
  if (dice.chance(40)) headers.push(['Contact', dice.pick(CONTACTS)])
  if (dice.chance(30)) headers.push(['P-Asserted-Identity', dice.pick(IDENTITIES)])
  if (dice.chance(20)) headers.push(['P-Asserted-Identity', dice.pick(IDENTITIES)])
  if (dice.chance(40)) headers.push(['User-Agent', dice.pick(TEXTS)])
  if (dice.chance(30)) headers.push(['Subject', dice.pick(TEXTS)])
  for (let left = dice.below(4); left > 0; left--)
    headers.push([dice.pick(['X-Test', 'x-test', 'X-TEST']), dice.pick(TEXTS)])
  if (body !== '' || dice.chance(20))
    headers.push([
      'Content-Type',
      dice.pick(['text/plain', 'application/sdp', '', 'text/plain ;charset="a"']),
    ])
  if (dice.chance(85)) headers.push(['Content-Length', length])

  const lines = headers.map((header) => headerLine(dice, header))
  if (dice.chance(6)) lines.splice(dice.below(lines.length), 1)
  if (dice.chance(6)) lines.splice(dice.below(lines.length + 1), 0, dice.pick(lines))
  if (dice.chance(10)) lines.push(lines.splice(dice.below(lines.length), 1)[0]!)
  if (dice.chance(3))
    lines.splice(
      dice.below(lines.length + 1),
      0,
      dice.pick(['no colon', 'Bad Name: x', ': empty', 'B\xe4d: x', 'B(d: x']),
    )
  const lineEnd = dice.chance(96) ? '\r\n' : '\n'
  let text = [start, ...lines, '', body].join(lineEnd)
  if (dice.chance(2)) text = dice.pick(['\r\n', '\r\n\r\n', ' ', '\n']) + text
  if (dice.chance(2)) text = text.slice(0, dice.below(text.length))
  for (let left = dice.chance(35) ? 1 + dice.below(3) : 0; left > 0; left--) {
    const at = dice.below(text.length + 1)
    const by = dice.pick(dice.chance(60) ? DAMAGE : MORE_DAMAGE)
    const gone = dice.pick([0, 0, 1])
    text = text.slice(0, at) + (dice.chance(80) ? by : '') + text.slice(at + gone)
  }
  return Buffer.from(text, 'latin1')
}

/** The token of a message, written as peers write it and as they should not. */
export function spoilToken(dice: Dice, token: string): string {
  return dice.pick([
    token.toUpperCase(),
    `  ${token} \t`,
    `\r\n ${token}`,
    `${token}\r\n `,
    `${token.slice(0, 9)}\r\n ${token.slice(9)}`,
    token.slice(1),
    `${token}0`,
    `"${token}"`,
    `<${token}>`,
    `0x${token}`,
    `${token};x=y`,
    `${token},${token}`,
    token.replace(/.$/, 'g'),
    '',
    `${token}\r\nX-Auth: ${token}`,
    `0\r\nX-Auth: ${token}`,
    `${token}\r\nX-Auth: 0`,
  ])
}
