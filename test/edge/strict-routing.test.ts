import { describe, expect, it } from 'vitest'
import { requestOf, startRig, type Rig } from '../support/edge-rig.ts'

/** Route set and Request-URI of a BYE as they leave, for those with which it came. */
async function passed(
  rig: Rig,
  from: 'carrier' | 'upstream',
  uri: string,
  routes: readonly string[],
): Promise<{ readonly uri: string | undefined; readonly routes: readonly string[] }> {
  const places = { '{trunk}': `127.0.0.1:${rig.trunkAt.port}`, '{up}': `127.0.0.1:${rig.upstreamAt.port}` }
  const fill = (text: string): string =>
    Object.entries(places).reduce((filled, [name, place]) => filled.replaceAll(name, place), text)
  const bytes = requestOf('BYE', rig[from], {
    start: `BYE ${fill(uri)} SIP/2.0`,
    add: routes.map((route) => ['Route', fill(route)] as const),
    with: { To: '<sip:bob@biloxi.example>;tag=dialog' },
  })
  if (from === 'carrier') await rig.carrier.send(rig.sign(bytes), rig.trunkAt)
  else await rig.upstream.send(bytes, rig.upstreamAt)
  const { message } = await rig[from === 'carrier' ? 'upstream' : 'carrier'].receive()
  if (from === 'upstream' && !rig.verify(message).ok) throw new Error('the token does not fit what was sent')
  const back = (text: string): string =>
    Object.entries(places).reduce((emptied, [name, place]) => emptied.replaceAll(place, name), text)
  return {
    uri: message.requestUri === undefined ? undefined : back(message.requestUri),
    routes: message.headers('Route').map(back),
  }
}

/** What we recorded on either side. */
const TRUNK = 'sip:{trunk};lr'
const UP = 'sip:{up};lr;xk-trunk=carrier.0'

describe('a strict router of RFC 2543', () => {
  it.each<readonly [string, string, readonly string[], string, readonly string[]]>([
    ['put our entry in the Request-URI', UP, ['<sip:bob@b>'], 'sip:bob@b', []],
    ['the same, a second entry of ours behind it', UP, [`<${TRUNK}>`, '<sip:bob@b>'], 'sip:bob@b', []],
    ['the same in one line', UP, [`<${TRUNK}>, <sip:bob@b>`], 'sip:bob@b', []],
    ['a loose router is next', UP, ['<sip:p;lr>', '<sip:bob@b;x=y>'], 'sip:bob@b;x=y', ['<sip:p;lr>']],
    ['names are kept', UP, ['"P, q" <sip:p;lr>;z=1, <sip:bob@b>'], 'sip:bob@b', ['"P, q" <sip:p;lr>;z=1']],
    ['nothing else is in the route set', UP, [], UP, []],
  ])('before us: %s', async (_, uri, routes, wantedUri, wantedRoutes) => {
    const rig = await startRig()
    for (const from of ['upstream', 'carrier'] as const) {
      expect(await passed(rig, from, uri, routes)).toEqual({ uri: wantedUri, routes: wantedRoutes })
    }
  })

  it.each<readonly [string, readonly string[], string, readonly string[]]>([
    ['alone', ['<sip:s>'], 'sip:s', ['<sip:bob@b>']],
    ['behind our own', [`<${UP}>`, `<${TRUNK}>`, '<sip:s:5070;x=y>'], 'sip:s:5070;x=y', ['<sip:bob@b>']],
    ['before others', ['<sip:s>, <sip:p;lr>', '<sip:q>'], 'sip:s', ['<sip:p;lr>', '<sip:q>', '<sip:bob@b>']],
  ])('behind us, %s', async (_, routes, wantedUri, wantedRoutes) => {
    const rig = await startRig()
    expect(await passed(rig, 'upstream', 'sip:bob@b', routes)).toEqual({
      uri: wantedUri,
      routes: wantedRoutes,
    })
  })

  it('behind us does not take the place of the Request-URI that a trunk signed: no token covers Route', async () => {
    const rig = await startRig()
    const routes = ['<sip:s>, <sip:p;lr>']
    expect(await passed(rig, 'carrier', 'sip:bob@b', routes)).toEqual({ uri: 'sip:bob@b', routes })
  })

  it('on both sides', async () => {
    const rig = await startRig()
    expect(await passed(rig, 'upstream', UP, ['<sip:s>', '<sip:bob@b>'])).toEqual({
      uri: 'sip:s',
      routes: ['<sip:bob@b>'],
    })
  })

  it('is not taken for one where a Request-URI only looks like ours', async () => {
    const rig = await startRig()
    for (const uri of [
      'sip:{up};lr',
      'sip:192.0.2.1;lr;xk-trunk=carrier.0',
      'sip:bob@b;xk-trunk=carrier.0',
    ]) {
      expect(await passed(rig, 'upstream', uri, ['<sip:p;lr>'])).toEqual({ uri, routes: ['<sip:p;lr>'] })
    }
  })

  it('400 where what it left as the Request-URI is none', async () => {
    const rig = await startRig()
    const start = `BYE sip:127.0.0.1:${rig.upstreamAt.port};lr;xk-trunk=carrier.0 SIP/2.0`
    for (const route of ['no uri at all', '<sip:a b>']) {
      await rig.upstream.send(
        requestOf('BYE', rig.upstream, { start, add: [['Route', route]] }),
        rig.upstreamAt,
      )
      expect((await rig.upstream.receive()).message.status).toBe(400)
    }
  })

  it('leads a dialog to its trunk by the mark that it left in the Request-URI', async () => {
    const rig = await startRig({
      carrier: 'sources = ["{carrier}"]\ntarget = "{carrier}"',
      more: `
        [trunks.second]
        agreement = "main"
        sources = ["{second}"]
        target = "{second}"`,
    })
    for (const trunk of ['second', 'carrier'] as const) {
      await rig[trunk].send(rig.sign(requestOf('INVITE', rig[trunk]), rig[trunk], trunk), rig.trunkAt)
      const [first, second] = (await rig.upstream.receive()).message.headers('Record-Route')
      const start = `BYE ${first!.slice(1, -1)} SIP/2.0`
      const add = [['Route', `${second}, <sip:peer@198.51.100.1>`] as const]
      await rig.upstream.send(requestOf('BYE', rig.upstream, { start, add }), rig.upstreamAt)
      const { message } = await rig[trunk].receive()
      expect([message.requestUri, message.headers('Route')]).toEqual(['sip:peer@198.51.100.1', []])
    }
  })
})
