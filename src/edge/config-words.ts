/**
 * A configuration in words, for whoever is about to put it in front of a switch. Never holds a secret.
 * @module
 */
import type { Keyring } from '../keyring/keyring.ts'
import type { Agreement } from '../xkeys/agreement.ts'
import { covers, formatEndpoint, formatRange, isSameRange } from './config-address.ts'
import type { EdgeConfig, TrunkConfig } from './config.ts'
import { explainKeys } from './config-keys.ts'
import { explainUsers, type Row } from './config-users-words.ts'

/**
 * What the edge would do with a configuration and its keyring at `now`, as lines.
 * @param keyring `undefined`: it could not be read, so nothing is said of keys
 */
export function explainConfig(
  config: EdgeConfig,
  keyring: Keyring | undefined,
  now: Date,
): readonly string[] {
  const { listen, upstream, metrics, log, limits } = config
  const mebibytes = Number((limits.receiveBuffer / (1 << 20)).toFixed(2))
  return [
    ...section('Edge:', [
      [
        'listens',
        `on ${formatEndpoint(listen.trunk)} for trunks, ${formatEndpoint(listen.upstream)} for the upstream (UDP)`,
      ],
      ['metrics', metrics === undefined ? 'none' : `http://${formatEndpoint(metrics)}/metrics, no password`],
      ['log', log.level === 'debug' ? 'debug: a line for every decision' : log.level],
      ['buffer', `asks the kernel for ${mebibytes} MiB a socket`],
      ['drains', `${limits.drainTimeout} s when stopped`],
      ['refusals', `answers one source address at most ${limits.refusalsPerSecond} times a second`],
    ]),
    ...section('Upstream:', [
      [
        'target',
        `${formatEndpoint(upstream.target)}: accepted requests of trunks go there, their token removed`,
      ],
      ['sources', `${upstream.sources.map(formatRange).join(', ')}: believed without a token`],
    ]),
    ...config.trunks.flatMap((trunk) =>
      section(`Trunk ${trunk.name}:`, explainTrunk(trunk, config, keyring, now)),
    ),
    ...(config.users === undefined ? [] : section('Users:', explainUsers(config.users, keyring, now))),
  ]
}

const LABEL_WIDTH = 11

function section(title: string, rows: readonly Row[]): string[] {
  return [title, ...rows.map(([label, text]) => `  ${label.padEnd(LABEL_WIDTH)}${text}`)]
}

function explainTrunk(
  trunk: TrunkConfig,
  config: EdgeConfig,
  keyring: Keyring | undefined,
  now: Date,
): Row[] {
  const { agreement, sources, target } = trunk
  const others = config.trunks.filter((other) => other !== trunk)
  return [
    ['sources', sources.map(formatRange).join(', ')],
    ...overlaps(trunk, others),
    ['target', formatEndpoint(target)],
    ['', requestsFor(trunk, others)],
    ...reachedBy(trunk, others),
    ...reached(trunk, config),
    ...tokens(agreement),
    ...keysOf(agreement.group, keyring, now).map((line, i): Row => [i === 0 ? 'keys' : '', line]),
    ...sharers(trunk, others),
    ...requests(agreement),
    ...responses(agreement),
    ['unsigned', unsigned(trunk, config.limits.invites)],
    ...(agreement.spec.family === 'sha'
      ? [
          [
            'note',
            'a sha form is a prefix hash for Kamailio peers; hmac is stronger where the peer has it',
          ] as const,
        ]
      : []),
  ]
}

function keysOf(group: string, keyring: Keyring | undefined, now: Date): readonly string[] {
  return keyring === undefined ? ['unknown: the keyring was not read'] : explainKeys(group, keyring, now)
}

/** Ranges of other trunks that lie in one of this trunk. */
function overlaps({ sources, agreement: { header } }: TrunkConfig, others: readonly TrunkConfig[]): Row[] {
  return others.flatMap((other): Row[] => {
    const theirs = other.agreement.header
    const unless =
      theirs.toLowerCase() === header.toLowerCase() ? '' : `, unless only ${header} is in the message`
    const same = other.sources.filter((range) => sources.some((own) => isSameRange(own, range)))
    const narrower = other.sources.filter(
      (range) => !same.includes(range) && sources.some((own) => covers(own, range)),
    )
    return [
      ...narrower.map((range) => `but ${formatRange(range)} is trunk ${other.name}, being narrower${unless}`),
      ...same.map(
        (range) => `${formatRange(range)} is trunk ${other.name} too: ${header} or ${theirs} tells which`,
      ),
    ].map((text): Row => ['', text])
  })
}

/** The hosts of a Request-URI that lead to a trunk. */
function hostsOf({ domains, target }: TrunkConfig): string {
  const hosts = [...domains, formatEndpoint(target)]
  return [hosts.slice(0, -1).join(', '), ...hosts.slice(-1)].filter((text) => text !== '').join(' or ')
}

function requestsFor(trunk: TrunkConfig, others: readonly TrunkConfig[]): string {
  if (others.length === 0) return 'for every request of the upstream: it is the only trunk'
  return `for requests of the upstream in its dialogs, and those to ${hostsOf(trunk)}`
}

function reachedBy({ name }: TrunkConfig, others: readonly TrunkConfig[]): Row[] {
  const names = others.filter(({ reaches }) => reaches.includes(name)).map((other) => other.name)
  return names.length === 0
    ? []
    : [['', `and directly for those of ${names.map((each) => `trunk ${each}`).join(', ')}`]]
}

function reached({ reaches }: TrunkConfig, { trunks }: EdgeConfig): Row[] {
  if (reaches.length === 0) return [['reaches', 'the upstream only']]
  const direct = trunks.filter(({ name }) => reaches.includes(name))
  return [
    ['reaches', 'the upstream; and directly, signed as agreed there,'],
    ...direct.map((trunk): Row => ['', `trunk ${trunk.name} for requests to ${hostsOf(trunk)}`]),
  ]
}

function tokens({ header, algorithm, encoding, group, repeated, whenMissing, maxData }: Agreement): Row[] {
  const twice = repeated === 'first' ? 'of several headers the first counts' : 'a repeated header is refused'
  const missing = whenMissing === 'fail' ? 'makes no token' : 'stands as <null>'
  return [
    ['tokens', `header ${header}, ${algorithm} in ${encoding}, group ${group}`],
    ['', `${twice}; a missing value ${missing}; data of at most ${maxData} bytes`],
  ]
}

function sharers({ agreement: { group } }: TrunkConfig, others: readonly TrunkConfig[]): Row[] {
  const names = others
    .filter((other) => other.agreement.group.toLowerCase() === group.toLowerCase())
    .map(({ name }) => name)
  return names.length === 0 ? [] : [['', `shared with ${names.join(', ')}: each peer can sign as the other`]]
}

function requests({ request }: Agreement): Row[] {
  if (request === undefined)
    return [['requests', 'from it are refused, to it not signed: there is no template']]
  return [
    ['requests', `from it must carry a token over ${request.receiver.source}`],
    ['', `to it are signed over ${request.sender.source}`],
  ]
}

const POLICIES = {
  required: 'must carry a token, but for 100 and those to CANCEL,',
  'if-present': 'may come without a token, and must carry a right one if any,',
  off: '',
} as const

function responses({ response, responses }: Agreement): Row[] {
  if (response === undefined) return [['responses', 'from it pass unverified, to it are not signed']]
  return [
    ['responses', `from it ${POLICIES[responses]} over ${response.receiver.source}`],
    ['', `to it are signed over ${response.sender.source}`],
  ]
}

function unsigned({ unsigned }: TrunkConfig, invites: number): string {
  if (unsigned === 'refuse') return 'every CANCEL and every ACK must carry a token'
  return `a CANCEL, or the ACK of a failed call, needs no token where it matches an accepted INVITE, ${invites} at a time`
}
