import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  guardDialog,
  guardDialogs,
  signDrachtioResponses,
  type DrachtioMiddleware,
} from '../../src/adapters/drachtio.ts'
import type { Identity } from '../../src/pipeline/stage.ts'
import { fakeRequest, fakeResponse } from '../support/drachtio-host.ts'
import { bytesOf } from '../support/messages.ts'
import { NOON, agree, ringOf } from '../support/parties.ts'

/** A dialog as drachtio-srf makes it, as far as requests go. */
class Dialog extends EventEmitter {
  queued: (readonly [object, object])[] | undefined
  handle(req: { readonly method: string }, res: object): void {
    if (this.queued === undefined) this.emit(req.method.toLowerCase(), req, res)
    else this.queued.push([req, res])
  }
  release(): void {
    const queued = this.queued ?? []
    this.queued = undefined
    for (const [req, res] of queued) this.handle(req as never, res)
  }
}

const request = (method: string) =>
  fakeRequest(bytesOf({ start: `${method} sip:bob@biloxi.example SIP/2.0`, with: { CSeq: `2 ${method}` } }))

function watched(): { dialog: Dialog; seen: string[] } {
  const dialog = new Dialog()
  const seen: string[] = []
  for (const name of ['bye', 'info', 'ack']) dialog.on(name, () => void seen.push(name))
  return { dialog, seen }
}

const peer = (peer: string, key = 'k'): Identity => ({
  kind: 'peer',
  peer,
  key: { group: peer, name: key },
})
const user = (username: string, realm: string): Identity => ({
  kind: 'user',
  username,
  realm,
  attributes: { seen: username },
})
const unsigned = (peer: string): Identity => ({ kind: 'unsigned', peer })

/** What a dialog of one makes of a BYE and an ACK of another, both with a good token. */
function ended(own: Identity | undefined, given: Identity | undefined) {
  const { dialog, seen } = watched()
  const signs = signDrachtioResponses({ agreement: agree(), keyring: ringOf(), now: () => NOON })
  guardDialog(
    Object.assign(dialog, { req: { method: 'INVITE', identity: own } }),
    signs,
    (req, _res, next) => {
      Object.assign(req, { identity: given })
      next()
    },
  )
  const { res, sent } = fakeResponse()
  for (const method of ['BYE', 'ACK']) dialog.handle(request(method), res)
  return { seen, sent }
}

describe('guardDialog', () => {
  it('lets through what every middleware passes on, in order', () => {
    const { dialog, seen } = watched()
    const order: number[] = []
    const layer =
      (n: number): DrachtioMiddleware =>
      (_req, _res, next) => {
        order.push(n)
        next()
      }
    guardDialog(dialog, layer(1), layer(2))
    dialog.handle(request('INFO'), fakeResponse().res)
    expect({ order, seen }).toEqual({ order: [1, 2], seen: ['info'] })
  })

  it('keeps from the dialog what one of them does not: a refused BYE ends nothing', async () => {
    const { dialog, seen } = watched()
    guardDialog(dialog, async (_req, res, next) => {
      await Promise.resolve()
      if (seen.length > 5) next()
      res.send(403)
    })
    const { res, sent } = fakeResponse()
    dialog.handle(request('BYE'), res)
    await new Promise((resolve) => setImmediate(resolve))
    expect({ seen, sent }).toEqual({ seen: [], sent: [[403]] })
  })

  it('asks once of a request that the dialog keeps back and hands to itself later', () => {
    const { dialog, seen } = watched()
    let asked = 0
    dialog.queued = []
    guardDialog(dialog, (_req, _res, next) => {
      asked++
      next()
    })
    dialog.handle(request('INFO'), fakeResponse().res)
    expect(seen).toEqual([])
    dialog.release()
    expect({ asked, seen }).toEqual({ asked: 1, seen: ['info'] })
  })

  it('answers 500 where a middleware gives an error, but never an ACK', () => {
    const { dialog, seen } = watched()
    guardDialog(dialog, (_req, _res, next) => next(new Error('broken')))
    const { res, sent } = fakeResponse()
    dialog.handle(request('INFO'), res)
    dialog.handle(request('ACK'), res)
    dialog.handle(
      request('BYE'),
      fakeResponse(() => {
        throw new Error('the server has gone')
      }).res,
    )
    expect({ sent, seen }).toEqual({ sent: [[500]], seen: [] })
  })

  it.each([
    ['one that came in', { receivedOn: '192.0.2.7:5060' }],
    ['one that was sent', { source: 'application', source_address: '192.0.2.7', source_port: 5060 }],
  ])('tells where a request arrived, by the dialog’s own: %s', (_, req) => {
    const { dialog } = watched()
    const seen: unknown[] = []
    guardDialog(Object.assign(dialog, { req }), (request) => seen.push(request.receivedOn))
    dialog.handle(Object.assign(request('BYE'), { receivedOn: undefined }), fakeResponse().res)
    dialog.handle(Object.assign(request('BYE'), { receivedOn: '192.0.2.8:5060' }), fakeResponse().res)
    expect(seen).toEqual(['192.0.2.7:5060', '192.0.2.8:5060'])
  })

  it.each([
    ['another peer', peer('a'), peer('b')],
    ['a peer that proved nothing', peer('a'), unsigned('a')],
    ['a user', peer('a'), user('a', 'a')],
    ['another user', user('zoe', 'a'), user('bob', 'a')],
    ['a user of another realm', user('zoe', 'a'), user('zoe', 'b')],
    ['a peer of the user’s name', user('a', 'a'), peer('a')],
  ])('keeps from the dialog what %s sends: 403, not signed, and no answer to an ACK', (_, own, given) => {
    expect(ended(own, given)).toEqual({ seen: [], sent: [[403]] })
  })

  it.each([
    ['the same peer, with another key', peer('a', 'old'), peer('a', 'new')],
    ['the same user', user('zoe', 'a'), user('zoe', 'a')],
    ['a peer that signs by now', unsigned('a'), peer('a')],
    ['anybody, where the application opened it', undefined, peer('b')],
    ['the server itself, which has no identity', peer('a'), undefined],
  ])('lets the dialog have what %s sends', (_, own, given) => {
    expect(ended(own, given)).toEqual({ seen: ['bye', 'ack'], sent: [] })
  })

  it('refuses what is no dialog', () => {
    expect(() => guardDialog({})).toThrow(TypeError)
    expect(() => guardDialogs({})).toThrow(TypeError)
  })
})

describe('guardDialogs', () => {
  it('guards every dialog from its first request on', () => {
    const { dialog, seen } = watched()
    const srf = {
      added: [] as object[],
      addDialog(added: object): string {
        this.added.push(added)
        return 'added'
      },
    }
    guardDialogs(srf, () => {})
    expect(srf.addDialog(dialog)).toBe('added')
    expect(srf.added).toEqual([dialog])
    dialog.handle(request('BYE'), fakeResponse().res)
    expect(seen).toEqual([])
  })
})
