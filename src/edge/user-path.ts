/**
 * The ways between phones and the upstream. They are made for each request, since the phone's address is in them.
 * @module
 */
import type { Endpoint } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import { BRANCH_PREFIX, NAME_LENGTH } from './branch.ts'
import { formatEndpoint } from './config-address.ts'
import type { Side } from './event.ts'
import { parseFlow, writeFlow } from './flow.ts'
import type { FlowTokens } from './flow-token.ts'
import { LOOP_LENGTH, LOOP_PARAM } from './loop.ts'
import type { Locals, Path } from './path.ts'
import { createsDialog } from './route-set.ts'

/** From a phone, or to one. No trunk's name begins so. */
const PREFIX = { from: '.u', to: '.d' } as const

/** Which way a branch names, and whose; undefined where it is none of a phone's. */
export function readUserPath(
  name: string,
): { readonly way: keyof typeof PREFIX; readonly flow: Endpoint } | undefined {
  const start = name.slice(0, 2)
  const way = start === PREFIX.from ? 'from' : start === PREFIX.to ? 'to' : undefined
  const flow = way && parseFlow(name.slice(2))
  return way && flow && { way, flow }
}

/** What a way is made of. */
export interface UserPathOptions {
  readonly locals: Locals
  /** The upstream's. */
  readonly target: Endpoint
  readonly tokens: FlowTokens
}

/** The text of our lines around what differs from phone to phone. */
interface Lines {
  readonly arrives: Side
  readonly leaves: Side
  /** Via up to the phone's address, and behind it up to the end of the line. */
  readonly start: string
  readonly end: string
  readonly nameAt: number
}

interface SideLines extends Readonly<Record<keyof typeof PREFIX, Lines>> {
  /** What stands behind the token in a URI of ours, by side. */
  readonly at: Readonly<Record<Side, string>>
}

const LOOP = `;${LOOP_PARAM}=`

const linesOf = new WeakMap<Locals, SideLines>()

function sideLines(locals: Locals): SideLines {
  const known = linesOf.get(locals)
  if (known !== undefined) return known
  const lines = (way: keyof typeof PREFIX, arrives: Side, leaves: Side): Lines => {
    const branch = `Via: SIP/2.0/UDP ${formatEndpoint(locals[leaves])};branch=${BRANCH_PREFIX}`
    return {
      arrives,
      leaves,
      start: `${branch}${'0'.repeat(NAME_LENGTH)}-${PREFIX[way]}`,
      end: `${LOOP}${'0'.repeat(LOOP_LENGTH)}\r\n`,
      nameAt: branch.length,
    }
  }
  const at = (side: Side): string => `@${formatEndpoint(locals[side])};lr>\r\n`
  const made = {
    from: lines('from', 'trunk', 'upstream'),
    to: lines('to', 'upstream', 'trunk'),
    at: { trunk: at('trunk'), upstream: at('upstream') },
  }
  linesOf.set(locals, made)
  return made
}

/**
 * The way of a request from the phone at `flow` to the upstream; one of a registration carries Path (RFC 3327), so that
 * requests for the phone come back through here. Undefined where no key proves that, or no token can be made for the
 * address.
 */
export function pathFromUser(flow: Endpoint, view: MessageView, options: UserPathOptions): Path | undefined {
  return userPath('from', flow, view, options, options.target)
}

/** The way of a request of the upstream to the phone at `flow`; undefined where no token can be made for the address. */
export function pathToUser(flow: Endpoint, view: MessageView, options: UserPathOptions): Path | undefined {
  return userPath('to', flow, view, options, flow)
}

function userPath(
  way: keyof typeof PREFIX,
  flow: Endpoint,
  view: MessageView,
  { locals, tokens }: UserPathOptions,
  target: Endpoint,
): Path | undefined {
  const address = writeFlow(flow)
  if (address === undefined) return undefined
  const { method } = view
  const { at, [way]: lines } = sideLines(locals)
  const { arrives, leaves, start, end, nameAt } = lines
  let text = start + address + end
  if (createsDialog(method)) {
    const token = tokens.forDialog(flow, view)
    if (token === undefined) return undefined
    // RFC 5658: an entry for each side. Both lead to the phone: the upstream's to reach it, its own as proof of the dialog.
    text += `Record-Route: <sip:${token}${at[leaves]}Record-Route: <sip:${token}${at[arrives]}`
  } else if (way === 'from' && method === 'REGISTER') {
    const token = tokens.forRegistration(flow)
    if (token === undefined) return undefined
    text += `Path: <sip:${token}${at.upstream}`
  }
  // One of the two is used: what creates a dialog is no other request.
  const bytes = Buffer.from(text, 'latin1')
  return {
    name: PREFIX[way] + address,
    from: undefined,
    to: undefined,
    arrives,
    leaves,
    target,
    remove: NO_HEADERS,
    via: bytes,
    dialog: bytes,
    nameAt,
    loopAt: start.length + address.length + LOOP.length,
    mark: noMark,
  }
}

const NO_HEADERS: Path['remove'] = []

/** The tokens say it all. */
function noMark(): void {}
