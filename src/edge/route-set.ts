/**
 * The Route headers of a request, as a proxy with two sides takes them (RFC 3261 §16.4, §16.6 step 6; RFC 5658).
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { parseNameAddr } from '../message/name-addr.ts'
import type { Cut } from '../message/splice.ts'
import type { Endpoint } from '../message/types.ts'
import { findParam, parseUri, type Uri } from '../message/uri.ts'
import type { MessageView } from '../message/view.ts'
import { addressText } from '../template/address.ts'
import { inDialog } from './facts.ts'
import { isFlowToken } from './flow-token.ts'

const ROUTE = headerSelector('Route')
const SEMICOLON = 59

/** URI parameter of our Record-Route that names the trunk of a dialog. */
export const TRUNK_PARAM = 'xk-trunk'

/** Whether a request creates a dialog, so that we must stay on its path. */
export function createsDialog(method: string): boolean {
  return method === 'INVITE' || method === 'SUBSCRIBE' || method === 'NOTIFY' || method === 'REFER'
}

/** What becomes of the Route headers of a request. */
export interface RouteSet {
  /** Takes our own entries out, and does what a strict router before or behind us needs. */
  readonly cuts: readonly Cut[]
  /** The mark of our first entry: where the dialog leads. */
  readonly mark: string | undefined
  /** The flow token of our first entry: see flow-token.ts. Nothing is proved yet. */
  readonly flow: string | undefined
}

const NOTHING: RouteSet = { cuts: [], mark: undefined, flow: undefined }

/** One entry of the route set; offsets of all of it, up to the comma or the end of its line. */
interface Entry {
  readonly row: number
  readonly start: number
  readonly end: number
  readonly uri: Uri | null
  readonly uriStart: number
  readonly uriEnd: number
}

/** We record twice, once for each side (RFC 5658); what looks like a third entry of ours is somebody else's. */
const MOST_OWN = 2

/**
 * Reads the route set of a request. `malformed`: what a strict router leaves as the Request-URI is none.
 *
 * No token covers Route. So what a trunk asks for there neither replaces the Request-URI that was verified (our next hop
 * is settled anyway), nor, where it begins something, leads back to us with the upstream's authority.
 * @param own addresses of our sockets
 */
export function readRoutes(
  view: MessageView,
  own: readonly Endpoint[],
  sender: 'trunk' | 'upstream',
): RouteSet | 'malformed' {
  const strictUri = strictRouterUri(view, own)
  const before = strictUri && markOf(view, strictUri)
  const flowBefore = strictUri && flowOf(view, strictUri)
  const isStrictBefore = before !== undefined || flowBefore !== undefined
  if (view.find(ROUTE, 0) < 0) return isStrictBefore ? { cuts: [], mark: before, flow: flowBefore } : NOTHING
  const entries = readEntries(view)
  if (sender === 'trunk' && !inDialog(view))
    return { cuts: withoutOurs(view, entries, own), mark: undefined, flow: undefined }

  let mark = before
  let flow = flowBefore
  const last = isStrictBefore ? entries.length - 1 : entries.length
  const most = isStrictBefore ? MOST_OWN - 1 : MOST_OWN
  let first = 0
  while (first < last && first < most) {
    const { uri } = entries[first]!
    if (uri === null || !isOurs(view, uri, own)) break
    if (first === 0 && !isStrictBefore) {
      mark = markOf(view, uri)
      flow = flowOf(view, uri)
    }
    first++
  }
  const next = first < last ? entries[first] : undefined
  const isStrictNext = sender === 'upstream' && next !== undefined && isStrict(view, next)
  if (!isStrictBefore && !isStrictNext) return { cuts: popCuts(view, entries, first), mark, flow }
  const cuts = strictCuts(view, entries, first, isStrictBefore, isStrictNext)
  return cuts === undefined ? 'malformed' : { cuts, mark, flow }
}

/** Takes our own entries out wherever they stand; the lines are written anew where one stands behind another's. */
function withoutOurs(view: MessageView, entries: readonly Entry[], own: readonly Endpoint[]): Cut[] {
  const stay = entries.filter(({ uri }) => uri === null || !isOurs(view, uri, own))
  const first = entries.length - stay.length
  return entries.slice(first).every((entry, index) => entry === stay[index])
    ? popCuts(view, entries, first)
    : routeCuts(
        view,
        stay.map(({ start, end }) => view.text(start, end).trim()),
      )
}

/** The Request-URI where it is ours: a strict router before us has put our Record-Route there (§16.4). */
function strictRouterUri(view: MessageView, own: readonly Endpoint[]): Uri | undefined {
  const { secondStart, secondEnd } = view.layout
  // Taking a URI apart costs; most have no parameter.
  let at = secondStart
  while (at < secondEnd && view.bytes[at] !== SEMICOLON) at++
  const { uri } = at < secondEnd ? view : { uri: null }
  return uri !== null && isOurs(view, uri, own) ? uri : undefined
}

function readEntries(view: MessageView): readonly Entry[] {
  const entries: Entry[] = []
  for (let row = view.find(ROUTE, 0); row >= 0; row = view.find(ROUTE, row + 1)) {
    const end = view.valueEnd(row)
    let at = view.valueStart(row)
    while (at < end) {
      const entry = parseNameAddr(view.bytes, at, end, 'list')
      // What cannot be read is left as it is, for whom it concerns.
      const { uriStart, uriEnd } = entry ?? { uriStart: at, uriEnd: end }
      const uri = entry && parseUri(view.bytes, uriStart, uriEnd)
      entries.push({ row, start: at, end: entry?.end ?? end, uri, uriStart, uriEnd })
      at = (entry?.end ?? end) + 1
    }
  }
  return entries
}

function isOurs(view: MessageView, uri: Uri, own: readonly Endpoint[]): boolean {
  const port = uri.port === 0 ? 5060 : uri.port
  if (own.every((side) => side.port !== port)) return false
  const host = addressText(view.text(uri.hostStart, uri.hostEnd))
  return own.some((side) => side.port === port && side.address === host)
}

function markOf(view: MessageView, uri: Uri): string | undefined {
  const named = findParam(view.bytes, uri.paramsStart, uri.paramsEnd, TRUNK_PARAM)
  return named === null ? undefined : view.text(named[0], named[1])
}

function flowOf(view: MessageView, uri: Uri): string | undefined {
  if (uri.userEnd === uri.userStart) return undefined
  const user = view.text(uri.userStart, uri.userEnd)
  return isFlowToken(user) ? user : undefined
}

/** Whether an entry is a router of RFC 2543: a SIP URI without `lr`. */
function isStrict(view: MessageView, { uri }: Entry): boolean {
  if (uri === null || (uri.scheme !== 'sip' && uri.scheme !== 'sips')) return false
  return findParam(view.bytes, uri.paramsStart, uri.paramsEnd, 'lr') === null
}

/** Takes the first `count` entries out: whole lines, and the front of the line in which they end. */
function popCuts(view: MessageView, entries: readonly Entry[], count: number): Cut[] {
  const cuts: Cut[] = []
  for (let i = 0; i < count; i++) {
    const { row } = entries[i]!
    const stays = entries[count]
    if (stays?.row === row) {
      let at = stays.start
      while (view.bytes[at] === 32 || view.bytes[at] === 9) at++
      cuts.push({ start: view.valueStart(row), end: at, text: '' })
      break
    }
    if (entries[i + 1]?.row !== row) {
      cuts.push({ start: view.nameStart(row), end: view.valueEnd(row) + 2, text: '' })
    }
  }
  return cuts
}

/** What can stand as a Request-URI. */
// oxlint-disable-next-line no-control-regex -- controls are what must not stand there
const REQUEST_URI = /^[^\u0000-\u0020"<>\u007f]+$/

/**
 * Writes the route set anew: behind a strict router the last entry is the Request-URI that was meant; before one the
 * Request-URI goes to the end of the route set, and the router's URI in place of it.
 */
function strictCuts(
  view: MessageView,
  entries: readonly Entry[],
  first: number,
  isStrictBefore: boolean,
  isStrictNext: boolean,
): Cut[] | undefined {
  const { secondStart, secondEnd } = view.layout
  const uriOf = ({ uriStart, uriEnd }: Entry): string => view.text(uriStart, uriEnd)
  const last = isStrictBefore ? entries.at(-1) : undefined
  const stay = entries.slice(first, last === undefined ? entries.length : -1)
  const meant = last === undefined ? view.text(secondStart, secondEnd) : uriOf(last)
  const uri = isStrictNext ? uriOf(stay[0]!) : meant
  if (!REQUEST_URI.test(uri) || !REQUEST_URI.test(meant)) return undefined
  const routes = stay.map(({ start, end }) => view.text(start, end).trim())
  if (isStrictNext) {
    routes.shift()
    routes.push(`<${meant}>`)
  }
  return [{ start: secondStart, end: secondEnd, text: uri }, ...routeCuts(view, routes)]
}

/** Puts these entries, a line each, in place of all Route headers. */
function routeCuts(view: MessageView, entries: readonly string[]): Cut[] {
  const cuts: Cut[] = []
  let lines = entries.map((entry) => `Route: ${entry}\r\n`).join('')
  for (let row = view.find(ROUTE, 0); row >= 0; row = view.find(ROUTE, row + 1)) {
    cuts.push({ start: view.nameStart(row), end: view.valueEnd(row) + 2, text: lines })
    lines = ''
  }
  return cuts
}

/** Takes every Route header out. */
export function withoutRoutes(view: MessageView): RouteSet {
  return { cuts: routeCuts(view, []), mark: undefined, flow: undefined }
}
