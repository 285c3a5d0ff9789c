import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseEdgeConfig, parseEndpoint, type EdgeConfig } from '../../src/edge/config.ts'
import { describeSettings } from '../../src/edge/config-reference.ts'
import { loadConfig } from '../../src/edge/service.ts'
import { ConfigError, formatIssue, type Issue } from '../../src/errors.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'

const BASE = `keyring = "k.toml"
[listen]
trunk = "127.0.0.1:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5080"
[agreements.main]
header = "X-Auth"
group = "trunk-a"
algorithm = "hmac-sha256"
request = "$rm:$ru"
[trunks.carrier]
sources = ["192.0.2.1"]
target = "192.0.2.1:5060"
agreement = "main"
`

/** BASE with texts replaced, each of which must stand in it. */
function edited(...edits: readonly (readonly [string, string])[]): string {
  return edits.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`no ${from}`)
    return text.replace(from, to)
  }, BASE)
}

function issuesOf(text: string): readonly string[] {
  const error = errorOf(() => parseEdgeConfig(text))
  expect(error.code).toBe('ERR_CONFIG_INVALID')
  return error.issues.map(formatIssue)
}

describe('a configuration', () => {
  it('has defaults for what is left out', () => {
    const config = parseEdgeConfig(BASE)
    expect(config).toMatchObject<Partial<EdgeConfig>>({
      keyring: 'k.toml',
      strictKeys: false,
      listen: { trunk: { address: '127.0.0.1', port: 5060 }, upstream: { address: '127.0.0.1', port: 5062 } },
      upstream: {
        target: { address: '127.0.0.1', port: 5080 },
        sources: [{ address: '127.0.0.1', prefix: 32, port: undefined }],
      },
      metrics: undefined,
      log: { level: 'info' },
      limits: { receiveBuffer: 4_194_304, drainTimeout: 5, refusalsPerSecond: 50, invites: 20_000 },
    })
    expect(config.trunks).toMatchObject([
      {
        name: 'carrier',
        sources: [{ address: '192.0.2.1', prefix: 32, port: undefined }],
        target: { address: '192.0.2.1', port: 5060 },
        domains: [],
        reaches: [],
        unsigned: 'match',
        agreement: { header: 'X-Auth', group: 'trunk-a', algorithm: 'hmac-sha256', repeated: 'reject' },
      },
    ])
  })

  it('takes every setting', () => {
    const config = parseEdgeConfig(
      edited(
        ['keyring =', 'strict_keys = true\nkeyring ='],
        ['127.0.0.1:5060', '[::1]:5060'],
        [
          'target = "127.0.0.1:5080"',
          'target = "[2001:db8::1]:5080"\nsources = ["2001:db8::/64", "10.0.0.1:5080"]',
        ],
        [
          'request = "$rm:$ru"',
          `encoding = "base64url"
          request = { sender = "$Ri", receiver = "$si" }
          response = "$rs"
          repeated = "first"
          when_missing = "null-text"
          responses = "if-present"
          max_data = 1024`,
        ],
        ['agreement = "main"', 'agreement = "main"\ndomains = ["a.example", "b.example"]'],
      ) +
        '[metrics]\nlisten = "127.0.0.1:9464"\n[log]\nlevel = "debug"\n[limits]\nreceive_buffer = 65536\ndrain_timeout = 0.5\n',
    )
    expect(config).toMatchObject({
      strictKeys: true,
      listen: { trunk: { address: '::1', port: 5060 } },
      upstream: {
        target: { address: '2001:db8::1', port: 5080 },
        sources: [
          { address: '2001:db8::', prefix: 64 },
          { address: '10.0.0.1', port: 5080 },
        ],
      },
      metrics: { address: '127.0.0.1', port: 9464 },
      log: { level: 'debug' },
      limits: { receiveBuffer: 65_536, drainTimeout: 0.5 },
    })
    expect(config.trunks[0]).toMatchObject({
      domains: ['a.example', 'b.example'],
      agreement: {
        encoding: 'base64url',
        repeated: 'first',
        whenMissing: 'null-text',
        responses: 'if-present',
        maxData: 1024,
      },
    })
    expect(config.trunks[0]!.agreement.request!.receiver.source).toBe('$si')
  })
})

describe('what is wrong is told', () => {
  it('all at once, by line, with the nearest known setting', () => {
    expect(
      issuesOf(
        edited(
          ['127.0.0.1:5060', '0.0.0.0:5060'],
          ['target = "127.0.0.1:5080"', 'target = "sip.example:5080"\ntimeout = 3'],
          ['"$rm:$ru"', '"$rm:$ruu"'],
          ['agreement = "main"', 'agreement = "mian"\ndomain = ["a"]'],
        ) + '[limit]\nx = 1\n',
      ),
    ).toEqual([
      'line 3: listen.trunk: it must be a concrete address: it goes into Via and into templates',
      expect.stringMatching(
        /^line 6: upstream\.target: "sip\.example:5080" is not address:port with an IP address/,
      ),
      'line 7: upstream.timeout: unknown setting',
      'line 12: agreements.main.request: column 5: unknown pseudo-variable $ruu; did you mean $ru?',
      'line 16: trunks.carrier.agreement: there is no agreement "mian"; did you mean main?',
      'line 17: trunks.carrier.domain: unknown setting; did you mean domains?',
      'line 18: limit: unknown setting; did you mean limits?',
    ])
  })

  it('missing settings, and slips of the hand in their place', () => {
    expect(
      issuesOf(
        edited(['keyring', 'keyrnig'], ['trunk =', 'trnuk ='], ['header', 'haeder'], ['sources', 'source']),
      ),
    ).toEqual([
      'keyring: it is missing',
      'line 1: keyrnig: unknown setting; did you mean keyring?',
      'line 2: listen.trunk: it is missing',
      'line 3: listen.trnuk: unknown setting; did you mean trunk?',
      'line 7: agreements.main.header: it is missing',
      'line 8: agreements.main.haeder: unknown setting; did you mean header?',
      'line 12: trunks.carrier.sources: it is missing',
      'line 13: trunks.carrier.source: unknown setting; did you mean sources?',
    ])
  })

  it('everything, of an empty file', () => {
    expect(issuesOf('')).toEqual(
      ['keyring', 'listen', 'upstream', 'agreements', 'trunks'].map((name) => `${name}: it is missing`),
    )
  })

  it.each<readonly [string, string, readonly string[]]>([
    [
      'a number for a text',
      edited(['"k.toml"', '5']),
      ['line 1: keyring: it must be a text, or a table { source = "…" }'],
    ],
    ['an empty keyring path', edited(['"k.toml"', '""']), [expect.stringMatching(/^line 1: keyring: /)]],
    [
      'a text for a boolean',
      edited(['keyring', 'strict_keys = "yes"\nkeyring']),
      ['line 1: strict_keys: it must be a boolean, is a string'],
    ],
    [
      'a text for a list',
      edited(['["192.0.2.1"]', '"192.0.2.1"']),
      ['line 13: trunks.carrier.sources: it must be an array, is a string'],
    ],
    [
      'a text for a table',
      'listen = "x"\n' + edited(['[listen]', '[listens]']),
      [
        'line 1: listen: it must be a table, is a string',
        'line 3: listens: unknown setting; did you mean listen?',
      ],
    ],
    [
      'no sources',
      edited(['["192.0.2.1"]', '[]']),
      [expect.stringMatching(/^line 13: trunks\.carrier\.sources: /)],
    ],
    [
      'an unknown log level',
      `${BASE}[log]\nlevel = "loud"\n`,
      [expect.stringMatching(/^line 17: log\.level: .*"info"/)],
    ],
    [
      'limits out of range',
      `${BASE}[limits]\nreceive_buffer = 3\ndrain_timeout = -1\n`,
      [
        expect.stringMatching(/^line 17: limits\.receive_buffer: /),
        expect.stringMatching(/^line 18: limits\.drain_timeout: /),
      ],
    ],
    [
      'a number as a template',
      edited(['"$rm:$ru"', '3']),
      [expect.stringMatching(/^line 11: agreements\.main\.request: it must be a text, or a table/)],
    ],
    [
      'a side misspelled',
      edited(['"$rm:$ru"', '{ sender = "$ru", reciever = "$ru" }']),
      [
        'line 11: agreements.main.request.receiver: it is missing',
        'line 11: agreements.main.request.reciever: unknown setting; did you mean receiver?',
      ],
    ],
    [
      'a trunk name with a blank',
      edited(['trunks.carrier', 'trunks."the carrier"']),
      ['line 12: trunks."the carrier": a trunk name is made of letters, digits, - and _, at most 64'],
    ],
    [
      'a trunk of a dangerous name',
      `${BASE}[trunks.__proto__]\n`,
      ['line 16: trunks.__proto__: this name cannot be used'],
    ],
    [
      'no trunk',
      BASE.slice(0, BASE.indexOf('[trunks')) + '[trunks]\n',
      ['line 12: trunks: there is no trunk'],
    ],
    ['no TOML', 'a = = 1', [expect.stringMatching(/^line 1: column 6: not valid TOML/)]],
    [
      'an unknown algorithm',
      edited(['hmac-sha256', 'hmac-sha-256']),
      ['line 10: agreements.main.algorithm: unknown algorithm "hmac-sha-256"; did you mean hmac-sha256?'],
    ],
    [
      'a header that SIP needs',
      edited(['X-Auth', 'Via']),
      [expect.stringMatching(/^line 8: agreements\.main\.header: Via is needed/)],
    ],
    [
      'a response template without $rs',
      edited(['request =', 'response = "$ci"\nrequest =']),
      [expect.stringMatching(/^line 11: agreements\.main\.response: it needs \$rs/)],
    ],
    [
      'a max_data out of range',
      edited(['request =', 'max_data = 3\nrequest =']),
      ['line 11: agreements.main.max_data: it must be a whole number from 64 to 65536, is 3'],
    ],
    [
      'sources that are none',
      edited(['["192.0.2.1"]', '["192.0.2.1", "pbx.example", "192.0.2.0/99"]']),
      [
        'line 13: trunks.carrier.sources[1]: "pbx.example" is not an IP address, network or address:port',
        'line 13: trunks.carrier.sources[2]: /99 is longer than an IPv4 address',
      ],
    ],
    [
      'one socket for both sides',
      edited(['5062', '5060']),
      [expect.stringMatching(/^line 4: listen\.upstream: it is the same as listen\.trunk/)],
    ],
    [
      'port 0 to send to',
      edited(['5080', '0'], ['192.0.2.1:5060', '192.0.2.1:0']),
      [
        'line 6: upstream.target: nothing can be sent to port 0',
        'line 14: trunks.carrier.target: nothing can be sent to port 0',
      ],
    ],
    [
      'a limit that is no number',
      `${BASE}[limits]\ndrain_timeout = nan\ninvites = 1.5\nreceive_buffer = 9007199254740993\n`,
      [
        'line 17: limits.drain_timeout: it must be from 0 to 3600, is NaN',
        'line 18: limits.invites: it must be a whole number from 1 to 1000000, is 1.5',
        'line 19: limits.receive_buffer: it must be a whole number from 65536 to 1073741824, is 9007199254740993',
      ],
    ],
    [
      'a slip in a choice',
      edited(['agreement = "main"', 'agreement = "main"\nunsigned = "matsch"']),
      ['line 16: trunks.carrier.unsigned: it must be one of "match", "refuse"; did you mean "match"?'],
    ],
    [
      'settings in the wrong table',
      edited(
        ['keyring =', 'drain_timeout = 3\nkeyring ='],
        ['agreement = "main"', 'agreement = "main"\nresponses = "off"'],
      ),
      [
        'line 1: drain_timeout: unknown setting; did you mean limits.drain_timeout?',
        'line 17: trunks.carrier.responses: unknown setting; did you mean agreements.NAME.responses?',
      ],
    ],
    [
      'addresses that SIP cannot write',
      edited(
        ['["192.0.2.1"]', '["[fe80::1%eth0]", "::ffff:192.0.2.1"]'],
        ['127.0.0.1:5080', '[fe80::1%eth0]:5080'],
      ),
      [
        'line 6: upstream.target: an address with a zone cannot be used: SIP has no way to write it',
        'line 13: trunks.carrier.sources[0]: an address with a zone cannot be used: SIP has no way to write it',
        'line 13: trunks.carrier.sources[1]: it is an IPv4 address: write it as one',
      ],
    ],
    [
      'domains that no Request-URI has',
      edited([
        'agreement = "main"',
        'agreement = "main"\ndomains = ["a.example:5060", "sip:b.example", "ok.example"]',
      ]),
      [
        'line 16: trunks.carrier.domains[0]: it must be the host of a Request-URI, without port',
        'line 16: trunks.carrier.domains[1]: it must be the host of a Request-URI, without port',
      ],
    ],
    [
      'targets that are the edge itself',
      edited(['127.0.0.1:5080', '127.0.0.1:5062'], ['"192.0.2.1:5060"', '"127.0.0.1:5060"']),
      [
        'line 6: upstream.target: it is listen.upstream, the edge itself: requests would come back',
        'line 14: trunks.carrier.target: it is listen.trunk, the edge itself: requests would come back',
      ],
    ],
    [
      'targets that are the edge on its other side, written in another way',
      edited(['127.0.0.1:5062', '[::1]:5062'], ['"192.0.2.1:5060"', '"[0:0:0:0:0:0:0:1]:5062"']),
      ['line 14: trunks.carrier.target: it is listen.upstream, the edge itself: requests would come back'],
    ],
    [
      'the upstream from nowhere',
      edited(['target = "127.0.0.1:5080"', 'target = "127.0.0.1:5080"\nsources = []']),
      ['line 7: upstream.sources: it is empty'],
    ],
    [
      'a date for a table, a list for a text',
      `log = 2026-10-01T00:00:00Z\n${edited(['"k.toml"', '["k.toml"]'])}`,
      [
        'line 1: log: it must be a table, is a date and time',
        'line 2: keyring: it must be a text, or a table { source = "…" }',
      ],
    ],
    [
      'metrics to the whole world',
      `${BASE}[metrics]\nlisten = "0.0.0.0:9464"\n`,
      [expect.stringMatching(/^line 17: metrics\.listen: it must be a concrete address/)],
    ],
  ])('%s', (_, text, issues) => {
    expect(issuesOf(text)).toEqual(issues)
  })

  it.each(['0.0.0.0:5060', '[::]:5060', '[0::0]:5060', '0.0.0.0:0'])('the wildcard %s', (address) => {
    expect(issuesOf(edited(['127.0.0.1:5060', address]))).toEqual([
      'line 3: listen.trunk: it must be a concrete address: it goes into Via and into templates',
    ])
  })
})

const second = (sources: string, header = 'x-auth'): string => `${BASE}
[agreements.second]
header = "${header}"
group = "trunk-b"
algorithm = "sha256"
request = "$ru"
[trunks.second]
sources = [${sources}]
target = "192.0.2.2:5060"
agreement = "second"
`

describe('trunks that could claim one message', () => {
  it.each([
    ['"192.0.2.1"', '192.0.2.1'],
    ['"192.0.2.9", "192.0.2.1"', '192.0.2.1'],
    ['"192.0.2.1/32"', '192.0.2.1'],
  ])('%s: an issue', (sources, shared) => {
    expect(issuesOf(second(sources))).toEqual([
      `line 23: trunks.second.sources: ${shared} is a source of trunk carrier too, and both use header x-auth`,
    ])
  })

  it.each([
    ['"192.0.2.2"', 'x-auth'],
    ['"192.0.2.1"', 'X-Second'],
    ['"192.0.2.1:5070"', 'X-Auth'],
    ['"192.0.2.0/24"', 'X-Auth'],
  ])('%s with %s: none', (sources, header) => {
    expect(parseEdgeConfig(second(sources, header)).trunks).toHaveLength(2)
  })

  it('one IPv6 address written in two ways', () => {
    const text = second('"2001:DB8:0::1"').replace('["192.0.2.1"]', '["2001:db8::1"]')
    expect(issuesOf(text)).toEqual([
      'line 23: trunks.second.sources: 2001:db8::1 is a source of trunk carrier too, and both use header x-auth',
    ])
  })

  it('one network written in two ways', () => {
    const text = second('"198.51.100.7/24"').replace('["192.0.2.1"]', '["198.51.100.0/24"]')
    expect(issuesOf(text)).toHaveLength(1)
  })
})

/** A third trunk beside those of `second`, with more lines in it and in the second. */
const third = (ofSecond: string, ofThird: string): string =>
  `${second('"192.0.2.2"')}${ofSecond}\n[trunks.third]\nsources = ["192.0.2.3"]\ntarget = "192.0.2.3:5060"\nagreement = "main"\n${ofThird}\n`

describe('trunks that reach others', () => {
  it('are told by name, in the order written', () => {
    const { trunks } = parseEdgeConfig(third('reaches = ["third", "carrier"]', 'reaches = []'))
    expect(trunks.map(({ name, reaches }) => [name, reaches])).toEqual([
      ['carrier', []],
      ['second', ['third', 'carrier']],
      ['third', []],
    ])
  })

  it('reach what is there, not themselves, and once', () => {
    expect(
      issuesOf(third('reaches = ["thrid", "second"]', 'reaches = ["second", "carrier", "second", 5]')),
    ).toEqual([
      'line 26: trunks.second.reaches[0]: there is no trunk "thrid"; did you mean third?',
      'line 26: trunks.second.reaches[1]: it is the trunk itself',
      'line 31: trunks.third.reaches[3]: it must be a string, is a number',
      'line 31: trunks.third.reaches[2]: second stands there twice',
    ])
  })
})

it('a domain leads to one trunk, whatever the case of its letters', () => {
  const text = third(
    'domains = ["a.example", "b.example"]',
    'domains = ["c.example", "B.Example", "c.example"]',
  )
  expect(issuesOf(text)).toEqual([
    'line 31: trunks.third.domains[1]: B.Example is a domain of trunk second too',
    'line 31: trunks.third.domains[2]: c.example stands there twice',
  ])
})

it('one fault hides no other: those of shape, of addresses, of agreements and between tables in one run', () => {
  const text = `strict_keys = "yes"
[listen]
trunk = "0.0.0.0:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5062"
[metrics]
lisen = "127.0.0.1:9464"
[limits]
invites = 0
[agreements.broken]
header = "Via"
group = 7
algorithm = "md5"
request = "$fo"
max_data = 1
[agreements.other]
header = "X-Other"
group = "g"
algorithm = "hmac-sha256"
request = "$ru"
[trunks.one]
sources = ["192.0.2.1", "pbx.example", "192.0.2.0/24"]
target = "192.0.2.1:0"
agreement = "othre"
unsigned = "maybe"
[trunks.two]
sources = ["192.0.2.0/24", 5]
target = "192.0.2.2:5060"
agreement = "other"
domains = ["x.example"]
reaches = ["on"]
[trunks.three]
sources = ["192.0.2.0/24"]
agreement = "other"
domains = ["X.example"]
colour = "red"
`
  expect(issuesOf(text)).toEqual([
    'keyring: it is missing',
    'line 1: strict_keys: it must be a boolean, is a string',
    'line 3: listen.trunk: it must be a concrete address: it goes into Via and into templates',
    'line 6: upstream.target: it is listen.upstream, the edge itself: requests would come back',
    'line 7: metrics.listen: it is missing',
    'line 8: metrics.lisen: unknown setting; did you mean listen?',
    'line 10: limits.invites: it must be a whole number from 1 to 1000000, is 0',
    expect.stringMatching(/^line 12: agreements\.broken\.header: Via is needed/),
    'line 13: agreements.broken.group: it must be a string, is a number',
    'line 14: agreements.broken.algorithm: unknown algorithm "md5"',
    expect.stringMatching(/^line 15: agreements\.broken\.request: column 1: unknown pseudo-variable \$fo/),
    'line 16: agreements.broken.max_data: it must be a whole number from 64 to 65536, is 1',
    'line 23: trunks.one.sources[1]: "pbx.example" is not an IP address, network or address:port',
    'line 24: trunks.one.target: nothing can be sent to port 0',
    'line 25: trunks.one.agreement: there is no agreement "othre"; did you mean other?',
    'line 26: trunks.one.unsigned: it must be one of "match", "refuse"',
    'line 28: trunks.two.sources[1]: it must be a string, is a number',
    'line 32: trunks.two.reaches[0]: there is no trunk "on"; did you mean one?',
    'line 33: trunks.three.target: it is missing',
    'line 34: trunks.three.sources: 192.0.2.0/24 is a source of trunk two too, and both use header X-Other',
    'line 36: trunks.three.domains[0]: X.example is a domain of trunk two too',
    'line 37: trunks.three.colour: unknown setting',
  ])
})

const warningsOf = (text: string): readonly string[] => parseEdgeConfig(text).warnings.map(formatIssue)

/** Its issues; none where it is a configuration. */
function faultsOf(text: string): readonly Issue[] {
  try {
    parseEdgeConfig(text)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.issues
    throw error
  }
}

/** `[trunks.carrier]`, `[[users.quirks]]`. */
function headerOf(table: string): string {
  const name = table.replace('NAME', 'carrier')
  return name.endsWith('[]') ? `[[${name.slice(0, -2)}]]` : `[${name}]`
}

describe('whatever stands in place of a setting', () => {
  const settings = describeSettings().filter(({ table }) => table !== '')
  const tables = [...new Set(settings.map(({ table }) => table))]
  const SCALARS = ['0', '-1', '1.5', 'nan', '9007199254740993', 'true', '""', '"x"', '"0"', '"[::1%x]:1"']
  const OTHERS = [
    '[]',
    '[[]]',
    '[1]',
    '[""]',
    '["x"]',
    '{}',
    '{ x = 1 }',
    '{ sender = 1, receiver = "" }',
    '2026-10-01',
  ]
  const ODD = [...SCALARS, ...OTHERS, '2026-10-01T00:00:00Z']
  const write = (replace: (table: string, name: string, example: string) => string): string =>
    [
      'state = "state"',
      ...tables.flatMap((table) => [
        headerOf(table),
        ...settings
          .filter((setting) => setting.table === table)
          .map(({ name, example }) => `${name} = ${replace(table, name, example)}`),
      ]),
      '[trunks.branch]\nsources = ["127.0.0.3"]\ntarget = "127.0.0.3:5060"\nagreement = "carrier"\n',
    ].join('\n')

  it.each(ODD)('%s: a configuration, or its own path and line and no other', (odd) => {
    for (const { table, name } of settings) {
      const text = write((where, what, example) => (where === table && what === name ? odd : example))
      const path = `${table.replace('NAME', 'carrier').replace('[]', '[0]')}.${name}`
      const at = text.indexOf(`\n${name} = ${odd}\n`, text.indexOf(`\n${headerOf(table)}\n`))
      const line = text.slice(0, at).split('\n').length + 1
      // A keyring that is a file has no name and no Redis; the name of a shared one is that which it is sealed under.
      const touches = table === 'keyring' ? /^(?:keyring\.|kek\.sealed_as)/ : /^$/
      const elsewhere = faultsOf(text).filter(
        (issue) => !touches.test(issue.path) && (issue.line !== line || !issue.path.startsWith(path)),
      )
      expect(elsewhere).toEqual([])
    }
  })

  it.each(ODD)('%s for a whole table: the same', (odd) => {
    for (const name of ['listen', 'upstream', 'agreements', 'trunks', 'users', 'metrics', 'log', 'limits']) {
      const rest = write((_, __, example) => example).replaceAll(
        new RegExp(`\\[${name}(?=[.\\]])`, 'g'),
        '[other',
      )
      const error = errorOf(() => parseEdgeConfig(`${name} = ${odd}\n${rest}`))
      expect(error.issues.map(({ path }) => path)).toContain('other')
    }
  })
})

describe('what works, and is hardly meant, is a warning', () => {
  const OFF_LOOPBACK = [['127.0.0.1:5060', '192.0.2.20:5060']] as const

  it.each<readonly [string, string, readonly string[]]>([
    ['none', edited(...OFF_LOOPBACK), []],
    [
      'a target that loopback cannot reach',
      BASE,
      ['line 14: trunks.carrier.target: from the loopback address of listen.trunk nothing gets to 192.0.2.1'],
    ],
    [
      'targets of the other family',
      edited(['127.0.0.1:5060', '[2001:db8::20]:5060'], ['127.0.0.1:5080', '[::1]:5080']),
      [
        'line 6: upstream.target: it is an IPv6 address, and listen.upstream an IPv4 one: nothing can be sent there',
        'line 13: trunks.carrier.sources: nothing can come from 192.0.2.1: the listener has an IPv6 address',
        'line 14: trunks.carrier.target: it is an IPv4 address, and listen.trunk an IPv6 one: nothing can be sent there',
      ],
    ],
    [
      'targets that are no source',
      edited(
        ...OFF_LOOPBACK,
        ['target = "127.0.0.1:5080"', 'target = "127.0.0.1:5080"\nsources = ["127.0.0.1:5081"]'],
        ['["192.0.2.1"]', '["192.0.2.2", "192.0.2.8/29"]'],
      ),
      [
        'line 7: upstream.sources: the target 127.0.0.1:5080 is none of them: what it answers from there would be dropped',
        'line 14: trunks.carrier.sources: the target 192.0.2.1:5060 is none of them: what it answers from there would be dropped',
      ],
    ],
    [
      'a peer that is believed as the upstream is',
      edited(
        ...OFF_LOOPBACK,
        ['target = "127.0.0.1:5080"', 'target = "127.0.0.1:5080"\nsources = ["127.0.0.1", "192.0.0.0/16"]'],
        ['["192.0.2.1"]', '["198.51.100.7", "192.0.2.1:5060"]'],
      ),
      [
        "line 14: trunks.carrier.sources: 192.0.2.1:5060 is the upstream's too: what it sends to listen.upstream needs no token",
      ],
    ],
    [
      'a listener on any port',
      edited(['127.0.0.1:5060', '192.0.2.20:0']),
      ['line 3: listen.trunk: port 0 is any free one: nobody knows where to send'],
    ],
    [
      'an agreement for nothing',
      `${edited(...OFF_LOOPBACK)}[agreements.idle]\nheader = "X-Idle"\ngroup = "g"\nalgorithm = "sha256"\nrequest = "$ru"\n`,
      ['line 16: agreements.idle: no trunk uses it'],
    ],
    [
      'a trunk that is the upstream',
      edited(['"192.0.2.1:5060"', '"127.0.0.1:5080"'], ['["192.0.2.1"]', '["127.0.0.1"]']),
      [
        'line 14: trunks.carrier.target: it is upstream.target too: what the upstream sends to this trunk comes back to it',
      ],
    ],
    [
      'two trunks with one target',
      second('"192.0.2.2"')
        .replace('127.0.0.1:5060', '192.0.2.20:5060')
        .replace('192.0.2.1:5060', '192.0.2.2:5060'),
      [
        'line 13: trunks.carrier.sources: the target 192.0.2.2:5060 is none of them: what it answers from there would be dropped',
        'line 24: trunks.second.target: it is the target of trunk carrier too: a Request-URI that names it means carrier',
      ],
    ],
  ])('%s', (_, text, warnings) => {
    expect(warningsOf(text)).toEqual(warnings)
  })
})

describe('parseEndpoint', () => {
  it.each([
    ['192.0.2.1:5060', '192.0.2.1', 5060],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['[2001:db8::1]:65535', '2001:db8::1', 65_535],
    ['[2001:DB8:0::01]:5060', '2001:db8::1', 5060],
  ])('reads %s', (text, address, port) => {
    expect(parseEndpoint(text)).toEqual({ address, port })
  })

  it.each([
    '',
    '192.0.2.1',
    '192.0.2.1:',
    ':5060',
    'host:5060',
    '2001:db8::1:5060',
    '[2001:db8::1]',
    '[192.0.2.1]:1',
    '192.0.2.1:1x',
    '192.0.2.1:65536',
    '192.0.2.1:-1',
    '192.0.2.0/24:5060',
    '192.0.2.1:5060 ',
    '[fe80::1%eth0]:5060',
    '[::ffff:192.0.2.1]:5060',
  ])('refuses %j', (text) => {
    expect(parseEndpoint(text)).toBeTypeOf('string')
  })
})

it('tells the issues of agreements and keyring together with those of the shape', () => {
  const folder = folderWith({
    'keys.toml': '[[groups.g.keys]]\nname = "k"\n',
    'edge.toml':
      'keyring = "keys.toml"\n[upstream]\ntarget = 5\n[agreements.a]\nheader = "Via"\ngroup = "g"\nalgorithm = "md5"\nrequest = "$fo"\n[trunks]\n',
  })
  const { message } = errorOf(() => loadConfig(join(folder, 'edge.toml'), {}, new Date()))
  for (const part of [
    'listen: ',
    'upstream.target: ',
    'agreements.a.header: ',
    'agreements.a.algorithm: ',
    'agreements.a.request: ',
    'keys.toml: line 1: groups.g.keys[0]',
  ]) {
    expect(message).toContain(part)
  }
})
