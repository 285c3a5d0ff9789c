/**
 * The ways a request can take: from a trunk to the upstream, from the upstream to a trunk, from one trunk to another.
 * @module
 */
import { headerSelector, type HeaderSelector } from '../message/header-names.ts'
import type { Endpoint } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import { formatEndpoint } from './config-address.ts'
import { BRANCH_PREFIX, NAME_LENGTH } from './branch.ts'
import type { Side } from './event.ts'
import { LOOP_LENGTH, LOOP_PARAM } from './loop.ts'
import { MAC_LENGTH, type RouteMarks } from './route-mark.ts'
import { TRUNK_PARAM } from './route-set.ts'
import type { Trunk } from './trunk.ts'

/** One way, in one direction. */
export interface Path {
  /** As it stands in branches: the trunk; of a way between trunks, the one that answers and the one that asked. */
  readonly name: string
  /** Undefined: the upstream. */
  readonly from: Trunk | undefined
  readonly to: Trunk | undefined
  /** By which a request comes and leaves. */
  readonly arrives: Side
  readonly leaves: Side
  readonly target: Endpoint
  /** Token headers of both ends. */
  readonly remove: readonly HeaderSelector[]
  /** Our lines above a request, with room for the name of its transaction and for what tells loops. */
  readonly via: Buffer
  /** The same and Record-Route, with room for marks too. */
  readonly dialog: Buffer
  /** Where that room is in `via` and `dialog`. */
  readonly nameAt: number
  readonly loopAt: number
  /** Lays the marks of a dialog into `dialog`. */
  mark(view: MessageView): void
}

/** Addresses of our sockets. */
export type Locals = Readonly<Record<Side, Endpoint>>

/** From a trunk to the upstream. */
export function inboundPath(trunk: Trunk, target: Endpoint, locals: Locals): Path {
  // The upstream sends the requests of the dialog to the entry that is nearest to it: that one leads to the trunk.
  const marked = { trunk, marks: trunk.marks }
  return createPath({
    name: trunk.name,
    from: trunk,
    to: undefined,
    target,
    locals,
    out: marked,
    back: undefined,
  })
}

/** From the upstream to a trunk. */
export function outboundPath(trunk: Trunk, locals: Locals): Path {
  const marked = { trunk, marks: trunk.marks }
  const { target } = trunk.config
  return createPath({
    name: trunk.name,
    from: undefined,
    to: trunk,
    target,
    locals,
    out: undefined,
    back: marked,
  })
}

/** From one trunk to another, without the upstream. */
export function acrossPath(from: Trunk, to: Trunk, locals: Locals): Path {
  return createPath({
    name: `${to.name}.${from.name}`,
    from,
    to,
    target: to.config.target,
    locals,
    out: { trunk: from, marks: from.marksFor(to) },
    back: { trunk: to, marks: to.marksFor(from) },
  })
}

interface Marked {
  readonly trunk: Trunk
  readonly marks: RouteMarks
}

function createPath(way: {
  readonly name: string
  readonly from: Trunk | undefined
  readonly to: Trunk | undefined
  readonly target: Endpoint
  readonly locals: Locals
  /** Whom the Record-Route entry nearest to the next hop names: where that one's requests will go. */
  readonly out: Marked | undefined
  /** The same for the entry nearest to the one who asked. */
  readonly back: Marked | undefined
}): Path {
  const { name, from, to, target, locals } = way
  const arrives = from === undefined ? 'upstream' : 'trunk'
  const leaves = to === undefined ? 'upstream' : 'trunk'
  const start = `Via: SIP/2.0/UDP ${formatEndpoint(locals[leaves])};branch=${BRANCH_PREFIX}`
  const branch = `${start}${'0'.repeat(NAME_LENGTH)}-${name};${LOOP_PARAM}=`
  const via = `${branch}${'0'.repeat(LOOP_LENGTH)}\r\n`
  // RFC 5658: an entry for each side, since the sides differ, or lead to different trunks.
  const out = recordRoute(locals[leaves], way.out?.trunk)
  const dialog = Buffer.from(via + out + recordRoute(locals[arrives], way.back?.trunk), 'latin1')
  const tail = '>\r\n'.length + MAC_LENGTH
  const outAt = via.length + out.length - tail
  const backAt = dialog.length - tail
  const noMark = Buffer.alloc(MAC_LENGTH, '0')
  return {
    name,
    from,
    to,
    arrives,
    leaves,
    target,
    remove: tokenHeaders([from, to]),
    via: Buffer.from(via, 'latin1'),
    dialog,
    nameAt: start.length,
    loopAt: branch.length,
    mark(view) {
      // Without a key that signs there is no mark, and what stands there must not be that of the dialog before.
      if (way.out?.marks.write(view, dialog, outAt) === false) dialog.set(noMark, outAt)
      if (way.back?.marks.write(view, dialog, backAt) === false) dialog.set(noMark, backAt)
    },
  }
}

/** Of both ends, each once: two trunks may share a header. */
function tokenHeaders(ends: readonly (Trunk | undefined)[]): readonly HeaderSelector[] {
  const selectors = ends.flatMap((end) =>
    end === undefined ? [] : [headerSelector(end.config.agreement.header)],
  )
  return selectors.filter(
    (selector, index) => selectors.findIndex(({ name }) => name === selector.name) === index,
  )
}

function recordRoute(side: Endpoint, trunk: Trunk | undefined): string {
  const mark = trunk === undefined ? '' : `;${TRUNK_PARAM}=${trunk.name}.${'0'.repeat(MAC_LENGTH)}`
  return `Record-Route: <sip:${formatEndpoint(side)};lr${mark}>\r\n`
}
