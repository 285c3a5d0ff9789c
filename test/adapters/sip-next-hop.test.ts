import { describe, expect, it } from 'vitest'
import { createFlows } from '../../src/adapters/sip-flow.ts'
import { nextHop, type NextHop } from '../../src/adapters/sip-next-hop.ts'
import type { SipRequest, SipRoute } from '../../src/adapters/sip-types.ts'
import { toRoutes } from '../../src/adapters/sip-fields.ts'

const flows = createFlows('198.51.100.7')
const own = { host: '198.51.100.7', port: 5060, transports: ['udp', 'tcp'], flows } as const
const flow = {
  protocol: 'TCP',
  address: '192.0.2.9',
  port: 40_000,
  local: { address: '198.51.100.7', port: 5060 },
} as const

function routes(text: string): SipRoute[] {
  const bytes = Buffer.from(text)
  return toRoutes({ bytes, start: 0, end: bytes.length })!
}

function hopOf(
  uri: string,
  route?: SipRoute[] | string,
): { readonly hop: NextHop; readonly request: SipRequest } {
  const headers = route === undefined ? {} : { route }
  const request = { method: 'INVITE', uri, headers } as unknown as SipRequest
  return { hop: nextHop(request, own), request }
}

describe('where a request goes', () => {
  it.each<[string, NextHop]>([
    ['sip:a@192.0.2.1', { hop: { host: '192.0.2.1', port: 0, transports: ['udp'] } }],
    ['SIP:a@192.0.2.1:5070;transport=TCP', { hop: { host: '192.0.2.1', port: 5070, transports: ['tcp'] } }],
    ['sip:[2001:db8::1]:5070', { hop: { host: '2001:db8::1', port: 5070, transports: ['udp'] } }],
    ['sip:a@example.com', { hop: { host: 'example.com', port: 0, transports: ['udp', 'tcp'] } }],
    ['sip:a@198.51.100.7:5070', { hop: { host: '198.51.100.7', port: 5070, transports: ['udp'] } }],
    ['sip:a@198.51.100.7', { status: 404 }],
    ['sips:a@192.0.2.1', { status: 416 }],
    ['tel:+1', { status: 416 }],
    ['sip:a@192.0.2.1:99999', { status: 416 }],
    ['sip:a@192.0.2.1;transport=ws', { status: 400 }],
  ])('%s', (uri, hop) => {
    expect(hopOf(uri).hop).toEqual(hop)
  })

  it('a Route is the next hop, and stays', () => {
    const { hop, request } = hopOf('sip:a@192.0.2.1', routes('<sip:p.example:5070;lr>, <sip:q.example;lr>'))
    expect(hop).toEqual({ hop: { host: 'p.example', port: 5070, transports: ['udp', 'tcp'] } })
    expect(request.headers.route).toHaveLength(2)
  })

  it('a Route as text is read', () => {
    const { hop, request } = hopOf('sip:a@192.0.2.1', '<sip:192.0.2.3;lr>')
    expect(hop).toMatchObject({ hop: { host: '192.0.2.3' } })
    expect(request.headers.route).toMatchObject([{ uri: { host: '192.0.2.3' } }])
  })

  it('a Route of ours goes', () => {
    const { hop, request } = hopOf(
      'sip:a@192.0.2.1',
      routes('<sip:198.51.100.7;lr>, <sip:198.51.100.7:5060;lr>, <sip:192.0.2.2;lr>'),
    )
    expect(hop).toMatchObject({ hop: { host: '192.0.2.2' } })
    expect(request.headers.route).toHaveLength(1)
    expect(hopOf('sip:a@192.0.2.1', routes('<sip:198.51.100.7;lr>')).hop).toMatchObject({
      hop: { host: '192.0.2.1' },
    })
  })

  it('one without lr changes places with the Request-URI', () => {
    const { hop, request } = hopOf('sip:a@192.0.2.1', routes('<sip:192.0.2.2>'))
    expect(hop).toMatchObject({ hop: { host: '192.0.2.2' } })
    expect(request).toMatchObject({
      uri: { host: '192.0.2.2' },
      headers: { route: [{ uri: 'sip:a@192.0.2.1' }] },
    })
  })

  it.each<[string, SipRoute[] | string, number]>([
    ['tel:', routes('<tel:+1;lr>'), 416],
    ['text that is no Route', '<sip:a', 400],
    ['commas', ','.repeat(50_000), 400],
  ])('a Route that is %s is a status', (_what, route, status) => {
    expect(hopOf('sip:a@192.0.2.1', route).hop).toEqual({ status })
  })
})

describe('flows', () => {
  it('a URI of ours leads back to the connection, as Request-URI and as Route', () => {
    const uri = flows.encodeFlowUri(flow)
    expect(flows.decodeFlowUri(uri)).toEqual(flow)
    const target = { flow: { transport: 'tcp', address: '192.0.2.9', port: 40_000 } }
    const text = `sip:${uri.user}@${uri.host}`
    expect(hopOf(text).hop).toEqual(target)
    expect(hopOf('sip:a@192.0.2.1', routes(`<${text};lr>`)).hop).toEqual(target)
  })

  it.each([
    ['of another stack', createFlows('198.51.100.7').encodeFlowUri(flow)],
    ['with another host', { ...flows.encodeFlowUri(flow), host: '198.51.100.8' }],
    ['that was cut', { ...flows.encodeFlowUri(flow), user: flows.encodeFlowUri(flow).user!.slice(0, -2) }],
    ['that is short', { ...flows.encodeFlowUri(flow), user: 'abc' }],
    ['without a user', { ...flows.encodeFlowUri(flow), user: undefined }],
  ])('a URI %s is none', (_what, uri) => {
    expect(flows.decodeFlowUri(uri)).toBeUndefined()
  })
})
