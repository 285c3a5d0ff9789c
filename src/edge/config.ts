/**
 * The edge's configuration: `edge.toml`, validated as a whole.
 * @module
 */
import { isIP } from 'node:net'
import { z } from 'zod'
import { ConfigError, nearest, type Issue } from '../errors.ts'
import { parseToml, formatPath, type TomlPath } from '../toml.ts'
import { createAddressMatcher, parseSource, type SourceRange } from '../pipeline/source.ts'
import { defineAgreement, type Agreement, type AgreementInput } from '../xkeys/agreement.ts'
import type { Endpoint } from '../message/types.ts'
import { readSettings, type KnownSettings, type Report } from './settings.ts'

/** A neighbouring SIP system. */
export interface TrunkConfig {
  readonly name: string
  readonly sources: readonly SourceRange[]
  readonly target: Endpoint
  readonly agreement: Agreement
  readonly domains: readonly string[]
  /** A CANCEL, or the ACK of a failure, without a token: passed where it matches an accepted INVITE, or refused. */
  readonly unsigned: 'match' | 'refuse'
}

/** Everything the edge needs to know, but the keyring's content. */
export interface EdgeConfig {
  /** Path of the keyring, as written. */
  readonly keyring: string
  readonly strictKeys: boolean
  readonly listen: { readonly trunk: Endpoint; readonly upstream: Endpoint }
  readonly upstream: { readonly target: Endpoint; readonly sources: readonly SourceRange[] }
  readonly trunks: readonly TrunkConfig[]
  readonly metrics: Endpoint | undefined
  readonly log: { readonly level: string }
  readonly limits: {
    readonly receiveBuffer: number
    /** Seconds. */
    readonly drainTimeout: number
    readonly refusalsPerSecond: number
    readonly invites: number
  }
}

const sides = z.union([z.string(), z.strictObject({ sender: z.string(), receiver: z.string() })])

const agreementSchema = z.strictObject({
  header: z.string(),
  group: z.string(),
  algorithm: z.string(),
  encoding: z.enum(['hex', 'base64url']).optional(),
  request: sides.optional(),
  response: sides.optional(),
  repeated: z.enum(['reject', 'first']).optional(),
  when_missing: z.enum(['null-text', 'fail']).optional(),
  responses: z.enum(['required', 'if-present', 'off']).optional(),
  max_data: z.int().optional(),
})

const schema = z.strictObject({
  keyring: z.string().min(1),
  strict_keys: z.boolean().default(false),
  listen: z.strictObject({ trunk: z.string(), upstream: z.string() }),
  upstream: z.strictObject({ target: z.string(), sources: z.array(z.string()).optional() }),
  agreements: z.record(z.string(), agreementSchema),
  trunks: z.record(
    z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'a trunk name is made of letters, digits, - and _, at most 64'),
    z.strictObject({
      sources: z.array(z.string()).min(1),
      target: z.string(),
      agreement: z.string(),
      domains: z.array(z.string().min(1)).optional(),
      unsigned: z.enum(['match', 'refuse']).default('match'),
    }),
  ),
  metrics: z.strictObject({ listen: z.string() }).optional(),
  log: z
    .strictObject({
      level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      receive_buffer: z
        .int()
        .min(65_536)
        .max(1 << 30)
        .default(4 << 20),
      drain_timeout: z.number().min(0).max(3600).default(5),
      refusals_per_second: z.int().min(1).max(100_000).default(50),
      invites: z.int().min(1).max(1_000_000).default(20_000),
    })
    .prefault({}),
})

/** Shape of the file, by table, for naming the nearest known key. */
const KNOWN: KnownSettings = {
  '': Object.keys(schema.shape),
  listen: ['trunk', 'upstream'],
  upstream: ['target', 'sources'],
  agreements: Object.keys(agreementSchema.shape),
  'agreements.*': ['sender', 'receiver'],
  trunks: ['sources', 'target', 'agreement', 'domains', 'unsigned'],
  metrics: ['listen'],
  log: ['level'],
  limits: ['receive_buffer', 'drain_timeout', 'refusals_per_second', 'invites'],
}

/**
 * Reads `edge.toml`.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, its path, and its line where known.
 */
export function parseEdgeConfig(text: string): EdgeConfig {
  const toml = parseToml(text)
  if (!toml.ok) throw new ConfigError('ERR_CONFIG_INVALID', toml.issues)
  const issues: Issue[] = []
  const report = (path: TomlPath, message: string): void => {
    const line = toml.lineOf(path)
    issues.push({ path: formatPath(path), message, ...(line !== undefined && { line }) })
  }
  const fail = (): never => {
    throw new ConfigError(
      'ERR_CONFIG_INVALID',
      issues.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)),
    )
  }
  const raw = readSettings(schema, toml.value, KNOWN, report)
  if (raw === undefined) {
    checkAgreements(toml.value['agreements'], report)
    return fail()
  }
  const endpoint = (path: TomlPath, value: string): Endpoint => {
    const found = parseEndpoint(value)
    if (typeof found !== 'string') return found
    report(path, found)
    return { address: '', port: 0 }
  }
  const ranges = (path: TomlPath, values: readonly string[]): SourceRange[] =>
    values.flatMap((value, index) => {
      const range = parseSource(value)
      if (typeof range !== 'string') return [range]
      report([...path, index], range)
      return []
    })

  const listen = {
    trunk: endpoint(['listen', 'trunk'], raw.listen.trunk),
    upstream: endpoint(['listen', 'upstream'], raw.listen.upstream),
  }
  if (raw.listen.trunk === raw.listen.upstream && listen.trunk.port !== 0) {
    report(['listen', 'upstream'], 'it is the same as listen.trunk; each side needs a socket of its own')
  }
  /** Port 0, any free one, is for listening. */
  const targetEndpoint = (path: TomlPath, value: string): Endpoint => {
    const found = endpoint(path, value)
    if (found.port === 0 && found.address !== '') report(path, 'nothing can be sent to port 0')
    return found
  }
  const target = targetEndpoint(['upstream', 'target'], raw.upstream.target)
  const agreements = new Map<string, Agreement>()
  for (const [name, input] of Object.entries(raw.agreements)) {
    const agreement = readAgreement(name, input, report)
    if (agreement !== undefined) agreements.set(name, agreement)
  }
  const trunks = Object.entries(raw.trunks).flatMap(([name, trunk]): TrunkConfig[] => {
    const path = ['trunks', name]
    const sources = ranges([...path, 'sources'], trunk.sources)
    const to = targetEndpoint([...path, 'target'], trunk.target)
    const agreement = agreements.get(trunk.agreement)
    if (agreement === undefined && !Object.hasOwn(raw.agreements, trunk.agreement)) {
      const hint = nearest(trunk.agreement, Object.keys(raw.agreements))
      const message = `there is no agreement ${JSON.stringify(trunk.agreement)}`
      report([...path, 'agreement'], hint === undefined ? message : `${message}; did you mean ${hint}?`)
    }
    return agreement
      ? [{ name, sources, target: to, agreement, domains: trunk.domains ?? [], unsigned: trunk.unsigned }]
      : []
  })
  if (Object.keys(raw.trunks).length === 0) report(['trunks'], 'there is no trunk')
  checkOverlap(trunks, report)
  const metrics = raw.metrics && endpoint(['metrics', 'listen'], raw.metrics.listen)
  const upstream = {
    target,
    sources: ranges(['upstream', 'sources'], raw.upstream.sources ?? [addressOf(raw.upstream.target)]),
  }
  if (issues.length > 0) fail()
  return {
    keyring: raw.keyring,
    strictKeys: raw.strict_keys,
    listen,
    upstream,
    trunks,
    metrics,
    log: raw.log,
    limits: {
      receiveBuffer: raw.limits.receive_buffer,
      drainTimeout: raw.limits.drain_timeout,
      refusalsPerSecond: raw.limits.refusals_per_second,
      invites: raw.limits.invites,
    },
  }
}

/** `address:port`, IPv6 in brackets; a message where it is none. Names and wildcards are refused. */
export function parseEndpoint(text: string): Endpoint | string {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const address = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  if (isIP(address) !== (match?.[1] === undefined ? 4 : 6)) {
    return `${JSON.stringify(text)} is not address:port with an IP address, as in 192.0.2.1:5060 or [2001:db8::1]:5060`
  }
  if (/^[0.:]+$/.test(address)) return 'it must be a concrete address: it goes into Via and into templates'
  if (port > 65535) return `port ${port} is not in 0…65535`
  return { address, port }
}

function addressOf(target: string): string {
  const found = parseEndpoint(target)
  return typeof found === 'string' ? '127.0.0.1' : found.address
}

const SETTING_NAMES: Readonly<Record<string, string>> = {
  whenMissing: 'when_missing',
  maxData: 'max_data',
}

function readAgreement(
  name: string,
  raw: z.infer<typeof agreementSchema>,
  report: Report,
): Agreement | undefined {
  const { when_missing: whenMissing, max_data: maxData, ...rest } = raw
  const input = {
    ...rest,
    ...(whenMissing !== undefined && { whenMissing }),
    ...(maxData !== undefined && { maxData }),
  } as AgreementInput
  try {
    return defineAgreement(input)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const { path, message } of error.issues) {
      // `request.sender, column 7`: the path proper, then where in the value.
      const [setting = '', ...where] = path.split(', ')
      const keys = setting.split('.').map((key) => SETTING_NAMES[key] ?? key)
      report(['agreements', name, ...keys], [...where, message].join(': '))
    }
    return undefined
  }
}

/** Looks at the agreements of a file whose shape is wrong elsewhere, so that their faults are told in the same run. */
function checkAgreements(agreements: unknown, report: Report): void {
  if (typeof agreements !== 'object' || agreements === null) return
  for (const [name, table] of Object.entries(agreements)) {
    const shaped = agreementSchema.safeParse(table)
    if (shaped.success) readAgreement(name, shaped.data, report)
  }
}

/** Trunks that could claim one source with one header name could not be told apart. */
function checkOverlap(trunks: readonly TrunkConfig[], report: Report): void {
  for (const [index, trunk] of trunks.entries()) {
    for (const other of trunks.slice(0, index)) {
      if (other.agreement.header.toLowerCase() !== trunk.agreement.header.toLowerCase()) continue
      const shared = trunk.sources.find((range) => other.sources.some((theirs) => isSameRange(range, theirs)))
      if (shared === undefined) continue
      const message = `${shared.address} is a source of trunk ${other.name} too, and both use header ${trunk.agreement.header}`
      report(['trunks', trunk.name, 'sources'], message)
    }
  }
}

function isSameRange(a: SourceRange, b: SourceRange): boolean {
  return a.prefix === b.prefix && a.port === b.port && createAddressMatcher(a)(b.address)
}
