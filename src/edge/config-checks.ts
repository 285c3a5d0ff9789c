/**
 * What can be wrong between the settings of `edge.toml`, though each is right by itself.
 * @module
 */
import { isIPv6 } from 'node:net'
import { nearest } from '../errors.ts'
import { foldGroup } from '../keyring/keyring.ts'
import type { Endpoint } from '../message/types.ts'
import type { SourceRange } from '../pipeline/source.ts'
import type { TomlPath } from '../toml.ts'
import {
  covers,
  differInFamily,
  formatEndpoint,
  formatRange,
  isLoopback,
  isSameEndpoint,
  isSameRange,
  overlap,
} from './config-address.ts'
import type { configSchema } from './config-schema.ts'
import type { Found, Report } from './settings.ts'

/** A configuration as far as it could be read. */
export type ConfigDraft = Found<typeof configSchema>

/** Where what was found goes: `fault` stops the edge, `doubt` is told and no more. */
export interface Findings {
  readonly fault: Report
  readonly doubt: Report
}

type TrunkDraft = NonNullable<NonNullable<ConfigDraft['trunks']>[string]>

/** Looks at everything that touches two settings. What could not be read is left out: its own fault was told. */
export function checkTogether(draft: ConfigDraft, findings: Findings): void {
  const trunks = Object.entries(draft.trunks ?? {}).map(([name, trunk = {}]) => [name, trunk] as const)
  if (draft.trunks !== undefined && trunks.length === 0) findings.fault(['trunks'], 'there is no trunk')
  checkListeners(draft, findings)
  checkUpstream(draft, findings)
  for (const [name, trunk] of trunks) {
    const path = ['trunks', name]
    if (trunk.target !== undefined) checkTarget([...path, 'target'], trunk.target, 'trunk', draft, findings)
    checkSources([...path, 'sources'], trunk.sources, trunk.target, draft.listen?.trunk, findings)
    checkReaches([...path, 'reaches'], name, trunk.reaches ?? [], trunks, findings)
  }
  checkTargets(draft, trunks, findings)
  checkTrusted(draft, trunks, findings)
  checkAgreementNames(draft, trunks, findings)
  checkOverlap(draft, trunks, findings)
  checkSharedGroups(draft, trunks, findings)
  checkDomains(trunks, findings)
}

function checkListeners({ listen }: ConfigDraft, { fault, doubt }: Findings): void {
  for (const side of ['trunk', 'upstream'] as const) {
    if (listen?.[side]?.port === 0)
      doubt(['listen', side], 'port 0 is any free one: nobody knows where to send')
  }
  if (listen?.trunk === undefined || listen.upstream === undefined) return
  if (isSameEndpoint(listen.trunk, listen.upstream)) {
    fault(['listen', 'upstream'], 'it is the same as listen.trunk; each side needs a socket of its own')
  }
}

function checkUpstream(draft: ConfigDraft, findings: Findings): void {
  const { target, sources } = draft.upstream ?? {}
  if (target !== undefined) checkTarget(['upstream', 'target'], target, 'upstream', draft, findings)
  checkSources(['upstream', 'sources'], sources, target, draft.listen?.upstream, findings)
}

/** A target that is our own socket, or that it cannot send to. */
function checkTarget(
  path: TomlPath,
  target: Endpoint,
  side: 'trunk' | 'upstream',
  { listen }: ConfigDraft,
  { fault, doubt }: Findings,
): void {
  for (const other of ['trunk', 'upstream'] as const) {
    const own = listen?.[other]
    if (own !== undefined && isSameEndpoint(own, target)) {
      fault(path, `it is listen.${other}, the edge itself: requests would come back`)
    }
  }
  const local = listen?.[side]
  if (local === undefined) return
  if (differInFamily(local.address, target.address)) {
    const [to, from] = [family(target.address), family(local.address)]
    doubt(path, `it is an ${to} address, and listen.${side} an ${from} one: nothing can be sent there`)
  } else if (isLoopback(local.address) && !isLoopback(target.address)) {
    doubt(path, `from the loopback address of listen.${side} nothing gets to ${target.address}`)
  }
}

/** Sources that do not fit the listener, or leave the target's answers out. */
function checkSources(
  path: TomlPath,
  sources: readonly SourceRange[] | undefined,
  target: Endpoint | undefined,
  local: Endpoint | undefined,
  { doubt }: Findings,
): void {
  if (sources === undefined || sources.length === 0) return
  if (local !== undefined) {
    for (const range of sources.filter(({ address }) => differInFamily(address, local.address))) {
      const listener = `the listener has an ${family(local.address)} address`
      doubt(path, `nothing can come from ${formatRange(range)}: ${listener}`)
    }
  }
  if (target !== undefined && !sources.some((range) => covers(range, rangeOf(target)))) {
    doubt(
      path,
      `the target ${formatEndpoint(target)} is none of them: what it answers from there would be dropped`,
    )
  }
}

function checkReaches(
  path: TomlPath,
  own: string,
  reaches: readonly string[],
  trunks: readonly (readonly [string, TrunkDraft])[],
  { fault }: Findings,
): void {
  const names = trunks.map(([name]) => name)
  for (const [index, name] of reaches.entries()) {
    if (name === own) fault([...path, index], 'it is the trunk itself')
    else if (!names.includes(name)) {
      const others = names.filter((other) => other !== own)
      fault([...path, index], unknownName('trunk', name, others))
    } else if (reaches.indexOf(name) < index) fault([...path, index], `${name} stands there twice`)
  }
}

/** Requests to one address and port can only mean one trunk, and the upstream is none. */
function checkTargets(
  { upstream }: ConfigDraft,
  trunks: readonly (readonly [string, TrunkDraft])[],
  { doubt }: Findings,
): void {
  for (const [index, [name, { target }]] of trunks.entries()) {
    if (target === undefined) continue
    const path = ['trunks', name, 'target']
    if (upstream?.target !== undefined && isSameEndpoint(upstream.target, target)) {
      doubt(path, 'it is upstream.target too: what the upstream sends to this trunk comes back to it')
    }
    const first = trunks.slice(0, index).find((other) => isSame(other[1].target, target))
    if (first !== undefined) {
      doubt(path, `it is the target of trunk ${first[0]} too: a Request-URI that names it means ${first[0]}`)
    }
  }
}

/** A peer whose address is the upstream's too needs no token: it only has to send to the other listener. */
function checkTrusted(
  { upstream }: ConfigDraft,
  trunks: readonly (readonly [string, TrunkDraft])[],
  { doubt }: Findings,
): void {
  const trusted =
    upstream?.sources ?? (upstream?.target && [rangeOf({ ...upstream.target, port: undefined })])
  for (const [name, { sources = [] }] of trunks) {
    const shared = sources.find((range) => trusted?.some((other) => overlap(range, other)))
    // On one machine everybody has the same address.
    if (shared === undefined || isLoopback(shared.address)) continue
    const message = `${formatRange(shared)} is the upstream's too: what it sends to listen.upstream needs no token`
    doubt(['trunks', name, 'sources'], message)
  }
}

function checkAgreementNames(
  { agreements = {} }: ConfigDraft,
  trunks: readonly (readonly [string, TrunkDraft])[],
  { fault, doubt }: Findings,
): void {
  const names = Object.keys(agreements)
  for (const [name, { agreement }] of trunks) {
    if (agreement === undefined || names.includes(agreement)) continue
    fault(['trunks', name, 'agreement'], unknownName('agreement', agreement, names))
  }
  for (const name of names) {
    if (trunks.every(([, trunk]) => trunk.agreement !== name)) {
      doubt(['agreements', name], 'no trunk uses it')
    }
  }
}

/** Trunks that hold the same keys: each can sign as the other, and make the marks by which dialogs are led. */
function checkSharedGroups(
  { agreements }: ConfigDraft,
  trunks: readonly (readonly [string, TrunkDraft])[],
  { doubt }: Findings,
): void {
  const groupOf = ({ agreement }: TrunkDraft): string | undefined => {
    const group = agreement === undefined ? undefined : agreements?.[agreement]?.group
    return group === undefined ? undefined : foldGroup(group)
  }
  for (const [index, [name, trunk]] of trunks.entries()) {
    const group = groupOf(trunk)
    for (const [other, theirs] of trunks.slice(0, index)) {
      if (group === undefined || groupOf(theirs) !== group) continue
      const message = `its key group ${group} is that of trunk ${other} too: each can sign as the other`
      doubt(['trunks', name, 'agreement'], message)
    }
  }
}

/** Trunks that could claim one source with one header name could not be told apart. */
function checkOverlap(
  { agreements }: ConfigDraft,
  trunks: readonly (readonly [string, TrunkDraft])[],
  { fault }: Findings,
): void {
  const headerOf = ({ agreement = '' }: TrunkDraft): string | undefined =>
    agreements?.[agreement]?.header?.trimEnd()
  for (const [index, [name, trunk]] of trunks.entries()) {
    const header = headerOf(trunk)
    if (header === undefined) continue
    for (const [other, theirs] of trunks.slice(0, index)) {
      if (headerOf(theirs)?.toLowerCase() !== header.toLowerCase()) continue
      const shared = trunk.sources?.find((range) => theirs.sources?.some((its) => isSameRange(range, its)))
      if (shared === undefined) continue
      const message = `${formatRange(shared)} is a source of trunk ${other} too, and both use header ${header}`
      fault(['trunks', name, 'sources'], message)
    }
  }
}

/** A domain leads to one trunk. */
function checkDomains(trunks: readonly (readonly [string, TrunkDraft])[], { fault }: Findings): void {
  const owners = new Map<string, string>()
  for (const [name, { domains = [] }] of trunks) {
    for (const [index, domain] of domains.entries()) {
      const owner = owners.get(domain.toLowerCase())
      if (owner === undefined) owners.set(domain.toLowerCase(), name)
      else {
        const message = owner === name ? 'stands there twice' : `is a domain of trunk ${owner} too`
        fault(['trunks', name, 'domains', index], `${domain} ${message}`)
      }
    }
  }
}

function unknownName(what: string, name: string, known: readonly string[]): string {
  const hint = nearest(name, known)
  const message = `there is no ${what} ${JSON.stringify(name)}`
  return hint === undefined ? message : `${message}; did you mean ${hint}?`
}

function isSame(a: Endpoint | undefined, b: Endpoint): boolean {
  return a !== undefined && isSameEndpoint(a, b)
}

function rangeOf({ address, port }: Pick<SourceRange, 'address' | 'port'>): SourceRange {
  return { address, port, prefix: isIPv6(address) ? 128 : 32 }
}

function family(address: string): string {
  return isIPv6(address) ? 'IPv6' : 'IPv4'
}
