import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseEdgeConfig, parseEndpoint, type EdgeConfig } from '../../src/edge/config.ts'
import { loadConfig } from '../../src/edge/service.ts'
import { formatIssue } from '../../src/errors.ts'
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
    })
    expect(config.trunks).toMatchObject([
      {
        name: 'carrier',
        sources: [{ address: '192.0.2.1', prefix: 32, port: undefined }],
        target: { address: '192.0.2.1', port: 5060 },
        domains: [],
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
    ['a number for a text', edited(['"k.toml"', '5']), ['line 1: keyring: it must be a string, is a number']],
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
      ['line 11: agreements.main.max_data: it is a number of bytes from 64 to 65536'],
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

  it('one network written in two ways', () => {
    const text = second('"198.51.100.7/24"').replace('["192.0.2.1"]', '["198.51.100.0/24"]')
    expect(issuesOf(text)).toHaveLength(1)
  })
})

describe('parseEndpoint', () => {
  it.each([
    ['192.0.2.1:5060', '192.0.2.1', 5060],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['[2001:db8::1]:65535', '2001:db8::1', 65_535],
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
