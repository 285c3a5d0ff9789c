/**
 * Route and Record-Route of a proxy with two sides (RFC 3261 §16.4, §16.6; RFC 5658).
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { parseNameAddr } from '../message/name-addr.ts'
import type { Cut } from '../message/splice.ts'
import type { Endpoint } from '../message/types.ts'
import { findParam, parseUri } from '../message/uri.ts'
import type { MessageView } from '../message/view.ts'
import { addressInUri } from '../template/address.ts'

const ROUTE = headerSelector('Route')

/** URI parameter of our Record-Route that names the trunk of a dialog. */
const TRUNK_PARAM = 'xk-trunk'

/** Requests that create a dialog. */
const DIALOG_METHODS: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'REFER'])

/** `address:port` as it stands in URIs and Via. */
export function hostPort({ address, port }: Endpoint): string {
  return `${addressInUri(address)}:${port}`
}

/** Whether a request creates a dialog, so that we must stay on its path. */
export function createsDialog(method: string): boolean {
  return DIALOG_METHODS.has(method)
}

/**
 * The Record-Route lines of a dialog, nearest to the next hop first.
 * @param mark names the trunk so that nobody else can: see `Trunk.routeMark`
 */
export function recordRoute(out: Endpoint, back: Endpoint, mark: string): string {
  const line = (side: Endpoint): string =>
    `Record-Route: <sip:${hostPort(side)};lr;${TRUNK_PARAM}=${mark}>\r\n`
  return line(out) + line(back)
}

/** Our own entries at the top of the route set: the cuts that take them out, and the mark of the first. */
export interface OwnRoutes {
  readonly cuts: readonly Cut[]
  readonly mark: string | undefined
}

/** We record twice, once for each side (RFC 5658); what looks like a third entry of ours is somebody else's. */
const MOST_OWN = 2

/** Finds our own entries at the top of the route set. */
export function popOwnRoutes(view: MessageView, own: readonly Endpoint[]): OwnRoutes {
  const cuts: Cut[] = []
  let mark: string | undefined
  let found = 0
  for (let row = view.find(ROUTE, 0); row >= 0; row = view.find(ROUTE, row + 1)) {
    const start = view.valueStart(row)
    const end = view.valueEnd(row)
    let at = start
    while (at < end && found < MOST_OWN) {
      const entry = parseNameAddr(view.bytes, at, end, 'list')
      const uri = entry && parseUri(view.bytes, entry.uriStart, entry.uriEnd)
      if (entry === null || uri === null) break
      const host = view.text(uri.hostStart, uri.hostEnd)
      const port = uri.port === 0 ? 5060 : uri.port
      if (!own.some((side) => side.port === port && addressInUri(side.address) === host)) break
      if (found++ === 0) {
        const named = findParam(view.bytes, uri.paramsStart, uri.paramsEnd, TRUNK_PARAM)
        if (named !== null) mark = view.text(named[0], named[1])
      }
      at = entry.end + 1
    }
    if (at >= end) {
      cuts.push({ start: view.nameStart(row), end: end + 2, text: '' })
      continue
    }
    while (at > start && (view.bytes[at] === 32 || view.bytes[at] === 9)) at++
    if (at > start) cuts.push({ start, end: at, text: '' })
    break
  }
  return { cuts, mark }
}
