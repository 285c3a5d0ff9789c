import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { requestOf, startRig } from '../support/edge-rig.ts'
import { parsed } from '../support/messages.ts'

describe('a request that comes back (RFC 3261 §16.3 item 4)', () => {
  it('482 where it went by this way before and has not changed', async () => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier)), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    // The carrier gets it back by some other way, and sends it to us again.
    const again = editHeaders(bytes, {
      add: [['Via', `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bKagain`]],
      at: 'top',
    })
    await rig.carrier.send(rig.sign(again), rig.trunkAt)
    const { message } = await rig.carrier.receive()
    expect([message.status, message.headers('Via').length]).toEqual([482, 3])
    expect((await rig.settle()).upstream).toEqual([])
  })

  it('482 however the Via entries are laid into lines, and whatever its Max-Forwards', async () => {
    const rig = await startRig()
    await rig.upstream.send(requestOf('OPTIONS', rig.upstream), rig.upstreamAt)
    const { bytes } = await rig.carrier.receive()
    const all = parsed(bytes).headers('Via').join(', ')
    const one = editHeaders(bytes, {
      remove: ['Via', 'Max-Forwards', 'X-Auth'],
      add: [['v', `SIP/2.0/UDP ${rig.upstream.at};branch=z9hG4bKagain, ${all}`]],
      at: 'top',
    })
    await rig.upstream.send(one, rig.upstreamAt)
    expect((await rig.upstream.receive()).message.status).toBe(482)
  })

  it('an ACK in a loop is met with silence', async () => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('ACK', rig.carrier)), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    const via = `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bKagain`
    await rig.carrier.send(rig.sign(editHeaders(bytes, { add: [['Via', via]], at: 'top' })), rig.trunkAt)
    expect(await rig.settle()).toEqual({ carrier: [], upstream: [] })
  })

  it.each<readonly [string, (text: string) => string]>([
    ['another Request-URI', (text) => text.replace(/^INVITE \S+/, 'INVITE sip:carol@biloxi.example')],
    ['a Via that only looks like ours', (text) => text.replace(/(z9hG4bKxk-)\w/g, '$1x')],
    ['the Via below ours changed', (text) => text.replace('z9hG4bKpeer-1', 'z9hG4bKpeer-2')],
  ])('a spiral passes: %s', async (_, change) => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier)), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    const via = `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bKagain`
    const changed = Buffer.from(change(bytes.toString('latin1')), 'latin1')
    await rig.carrier.send(rig.sign(editHeaders(changed, { add: [['Via', via]], at: 'top' })), rig.trunkAt)
    expect((await rig.upstream.receive()).message.headers('Via')).toHaveLength(4)
  })

  it('a call that the upstream sends out again by the other way passes', async () => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier)), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    const via = `SIP/2.0/UDP ${rig.upstream.at};branch=z9hG4bKcore`
    await rig.upstream.send(editHeaders(bytes, { add: [['Via', via]], at: 'top' }), rig.upstreamAt)
    expect((await rig.carrier.receive()).message.headers('Via')).toHaveLength(4)
  })

  it('482 without looking at each of hundreds of entries that seem ours', async () => {
    const rig = await startRig()
    const seeming = `SIP/2.0/UDP 127.0.0.1:${rig.upstreamAt.port};branch=z9hG4bKxk-${'0'.repeat(20)}-carrier`
    const add = [['Via', Array.from({ length: 300 }, () => seeming).join(',')] as const]
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier, { add })), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(482)
  })

  it('a spiral by another Route passes', async () => {
    const rig = await startRig()
    await rig.upstream.send(requestOf('OPTIONS', rig.upstream), rig.upstreamAt)
    const { bytes } = await rig.carrier.receive()
    const add = [
      ['Via', `SIP/2.0/UDP ${rig.upstream.at};branch=z9hG4bKagain`],
      ['Route', '<sip:service.example;lr>'],
    ] as const
    await rig.upstream.send(editHeaders(bytes, { add, at: 'top' }), rig.upstreamAt)
    expect((await rig.carrier.receive()).message.headers('Via')).toHaveLength(4)
  })
})
