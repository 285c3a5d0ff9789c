import { expect, it } from 'vitest'
import { answerTo, moved, requestOf, startRig } from '../support/edge-rig.ts'

it('refuses what begins something new while it drains, and carries on what is under way', async () => {
  const rig = await startRig()
  await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier)), rig.trunkAt)
  const invite = await rig.upstream.receive()
  rig.edge.drain()

  await rig.upstream.send(answerTo(invite.bytes, '200 OK'), rig.upstreamAt)
  expect((await rig.carrier.receive()).message.status).toBe(200)
  const inDialog = { To: '<sip:bob@biloxi.example>;tag=answer' }
  await rig.carrier.send(rig.sign(requestOf('ACK', rig.carrier, { with: inDialog })), rig.trunkAt)
  expect((await rig.upstream.receive()).message.method).toBe('ACK')
  await rig.carrier.send(rig.sign(requestOf('BYE', rig.carrier, { with: inDialog })), rig.trunkAt)
  expect((await rig.upstream.receive()).message.method).toBe('BYE')

  const Via = `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bKnew;rport`
  await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier, { with: { Via } })), rig.trunkAt)
  expect((await rig.carrier.receive()).message.status).toBe(503)
  await rig.upstream.send(requestOf('OPTIONS', rig.upstream), rig.upstreamAt)
  expect((await rig.upstream.receive()).message.status).toBe(503)
})

it('T21: answers one source only so often, and counts what it does not answer', async () => {
  const rig = await startRig({ more: '[limits]\nrefusals_per_second = 5' })
  for (let i = 0; i < 40; i++) {
    const Via = `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bK${i};rport`
    await rig.carrier.send(requestOf('INVITE', rig.carrier, { with: { Via } }), rig.trunkAt)
  }
  const { carrier } = await rig.settle()
  const suppressed = moved(rig.metrics.suppressed)['trunk'] ?? 0
  expect(carrier.length + suppressed).toBe(40)
  expect(suppressed).toBeGreaterThan(0)
  expect(carrier.length).toBeGreaterThanOrEqual(5)
  expect(moved(rig.metrics.rejections)).toEqual({ 'carrier,trunk-a,header-missing': 40 })
})
