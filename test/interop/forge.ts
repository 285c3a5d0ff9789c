/**
 * Sending to an edge what it must not take, from wherever.
 */
import { expect } from 'vitest'
import type { Endpoint } from '../../src/message/types.ts'
import { waitUntil } from '../support/peers.ts'
import type { Chain } from './chain.ts'
import { openEnd } from './endpoint.ts'

/**
 * Sends to the edge. Awaits the first line of its answer; or that the edge refuses or drops it, with `nothing` coming
 * back, or with the `refusal` alone; or, with `passage`, nothing.
 */
export type Send = (
  bytes: Buffer,
  awaited?: 'answer' | 'nothing' | 'refusal' | 'passage',
) => Promise<string | undefined>

/** Refusals and drops so far. */
async function seen({ edge }: Chain): Promise<number> {
  return (await edge.metric('xkeys_rejections_total')) + (await edge.metric('xkeys_dropped_total'))
}

/** Gives a forger a socket. @param at `from` where, and `to` which side of the edge: the trunk's by default */
export async function forge(
  chain: Chain,
  at: { readonly from: Endpoint; readonly to?: Endpoint },
  use: (send: Send) => Promise<void>,
): Promise<void> {
  const forger = await openEnd(at.from)
  try {
    await use(async (bytes, awaited = 'answer') => {
      const before = await seen(chain)
      forger.send(bytes, at.to ?? chain.places.edge)
      if (awaited === 'answer') return (await forger.next())?.text.split('\r\n')[0]
      if (awaited !== 'passage') await waitUntil(chain.edge, async () => (await seen(chain)) > before)
      return awaited === 'nothing' ? (await forger.next(20))?.text : undefined
    })
  } finally {
    forger.close()
  }
}

/** Sends it from where nothing is believed: each time it is dropped in silence. */
export async function forgeFromElsewhere(chain: Chain, bytes: Buffer): Promise<void> {
  const { edge, edgeUpstream, upstream, kamailio } = chain.places
  const stranger = { address: '127.0.0.9', port: 0 }
  for (const at of [
    { from: stranger, to: edge },
    { from: { ...upstream, port: 0 }, to: edge },
    { from: stranger, to: edgeUpstream },
    { from: { ...kamailio, port: 0 }, to: edgeUpstream },
  ]) {
    await forge(chain, at, async (send) => {
      expect(await send(bytes, 'nothing')).toBeUndefined()
    })
  }
}
