/**
 * The ways between phones and the upstream. They are made for each request, since the phone's address is in them.
 * @module
 */
import type { Endpoint } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import { BRANCH_PREFIX, NAME_LENGTH } from './branch.ts'
import { formatEndpoint } from './config-address.ts'
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

/**
 * The way of a request from the phone at `flow` to the upstream; one of a registration carries Path (RFC 3327), so that
 * requests for the phone come back through here. Undefined where no key proves that, or no token can be made for the
 * address.
 */
export function pathFromUser(
  flow: Endpoint,
  view: MessageView,
  { locals, target, tokens }: UserPathOptions,
): Path | undefined {
  const path = userPath('from', flow, view, { locals, target, tokens })
  if (path === undefined || view.method !== 'REGISTER') return path
  const token = tokens.forRegistration(flow)
  if (token === undefined) return undefined
  const line = `Path: <sip:${token}@${formatEndpoint(locals.upstream)};lr>\r\n`
  return { ...path, via: Buffer.concat([path.via, Buffer.from(line, 'latin1')]) }
}

/** The way of a request of the upstream to the phone at `flow`; undefined where no token can be made for the address. */
export function pathToUser(flow: Endpoint, view: MessageView, options: UserPathOptions): Path | undefined {
  return userPath('to', flow, view, { ...options, target: flow })
}

function userPath(
  way: keyof typeof PREFIX,
  flow: Endpoint,
  view: MessageView,
  { locals, target, tokens }: UserPathOptions,
): Path | undefined {
  const address = writeFlow(flow)
  if (address === undefined) return undefined
  const name = PREFIX[way] + address
  const [arrives, leaves] =
    way === 'from' ? (['trunk', 'upstream'] as const) : (['upstream', 'trunk'] as const)
  const start = `Via: SIP/2.0/UDP ${formatEndpoint(locals[leaves])};branch=${BRANCH_PREFIX}`
  const branch = `${start}${'0'.repeat(NAME_LENGTH)}-${name};${LOOP_PARAM}=`
  const via = `${branch}${'0'.repeat(LOOP_LENGTH)}\r\n`
  // RFC 5658: an entry for each side. Both lead to the phone: the upstream's to reach it, its own as proof of the dialog.
  const token = createsDialog(view.method) ? tokens.forDialog(flow, view) : undefined
  if (createsDialog(view.method) && token === undefined) return undefined
  const recordRoutes = [leaves, arrives].map(
    (side) => `Record-Route: <sip:${token}@${formatEndpoint(locals[side])};lr>\r\n`,
  )
  return {
    name,
    from: undefined,
    to: undefined,
    arrives,
    leaves,
    target,
    remove: [],
    via: Buffer.from(via, 'latin1'),
    dialog: Buffer.from(via + recordRoutes.join(''), 'latin1'),
    nameAt: start.length,
    loopAt: branch.length,
    mark() {},
  }
}
