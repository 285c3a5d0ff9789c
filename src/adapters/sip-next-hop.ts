/**
 * Where a request of the app goes: its topmost Route, or its Request-URI (RFC 3261 §8.1.2, §16.12).
 * @module
 */
import { isIP } from 'node:net'
import type { Hop, Target } from '../transport/resolve.ts'
import type { Flows } from './sip-flow.ts'
import { toRoutes, toUri } from './sip-fields.ts'
import type { SipRequest, SipRoute, SipUri } from './sip-types.ts'

/** Who we are, to tell our own URIs. */
export interface OwnHost {
  readonly host: string
  readonly port: number
  readonly transports: readonly ('udp' | 'tcp')[]
  readonly flows: Flows
}

/** A name to look up, a connection to go back on, or the status that tells the app why there is neither. */
export type NextHop = { readonly hop: Hop } | { readonly flow: Target } | { readonly status: 400 | 404 | 416 }

/**
 * Finds the next hop. As in the package, a Route of ours is taken off, and one without `lr` changes places with the
 * Request-URI; unlike there, what cannot be understood is a status and no exception.
 */
export function nextHop(request: SipRequest, own: OwnHost): NextHop {
  const { headers } = request
  const routes = routesOf(headers.route)
  if (routes === undefined) return { status: 400 }
  let uri = objectOf(request.uri)
  while (routes.length > 0) {
    const first = objectOf(routes[0]!.uri)
    if (first === undefined) return { status: 416 }
    if (isOwn(first, own)) {
      routes.shift()
      const flow = flowOf(first, own)
      if (flow !== undefined) return keep(request, routes, { flow })
      continue
    }
    if (!('lr' in first.params)) {
      routes.shift()
      routes.push({ uri: request.uri, params: {} })
      request.uri = first as unknown as string
    }
    uri = first
    break
  }
  if (uri === undefined) return { status: 416 }
  const flow = flowOf(uri, own)
  if (flow !== undefined) return keep(request, routes, { flow })
  // It would come back to us for ever.
  if (isOwn(uri, own)) return { status: 404 }
  return keep(request, routes, hopOf(uri, own))
}

function keep(request: SipRequest, routes: SipRoute[], next: NextHop): NextHop {
  if (request.headers.route !== undefined) request.headers.route = routes
  return next
}

function routesOf(route: SipRoute[] | string | undefined): SipRoute[] | undefined {
  if (route === undefined || route === '') return []
  if (typeof route !== 'string') return route
  const bytes = Buffer.from(route, 'latin1')
  return toRoutes({ bytes, start: 0, end: bytes.length })
}

function objectOf(uri: SipUri | string): SipUri | undefined {
  const object = typeof uri === 'string' ? toUri(uri) : uri
  return typeof object === 'string' || typeof object.host !== 'string' ? undefined : object
}

function isOwn(uri: SipUri, { host, port, flows }: OwnHost): boolean {
  if (uri.host !== host) return false
  return (uri.port || DEFAULT_PORT) === port || flows.decodeFlowUri(uri) !== undefined
}

const DEFAULT_PORT = 5060

function flowOf(uri: SipUri, { flows }: OwnHost): Target | undefined {
  const flow = flows.decodeFlowUri(uri)
  if (flow === undefined) return undefined
  return { transport: flow.protocol === 'TCP' ? 'tcp' : 'udp', address: flow.address, port: flow.port }
}

function hopOf(uri: SipUri, own: OwnHost): NextHop {
  const host = uri.host.replace(/^\[|\]$/g, '')
  const port = uri.port || 0
  const asked = uri.params?.['transport']
  // sips: asks for TLS all the way, which there is not.
  if (uri.schema === 'sips') return { status: 416 }
  if (!Number.isInteger(port) || port < 0 || port > 65_535 || host === '') return { status: 400 }
  const wanted = asked === undefined || asked === null ? undefined : String(asked).toLowerCase()
  const transports = own.transports.filter((transport) => wanted === undefined || wanted === transport)
  if (transports.length === 0) return { status: 400 }
  return { hop: { host, port, transports: isIP(host) === 0 ? transports : transports.slice(0, 1) } }
}
