import { beforeAll, expect, it } from 'vitest'
import type { Endpoint } from '../../src/message/types.ts'
import { describePeers } from '../support/peers.ts'
import { startChain, type Chain } from './chain.ts'
import { stateful } from './kamailio-stateful.ts'
import { countOf, kindList } from './sipp-mix.ts'
import { startSipp, type SippOptions } from './sipp.ts'

/** Each way through each Kamailio, of which two work at a time. */
const CALLS = 500
const RATE = 50

const FAILURES = countOf(CALLS, ['early', 'ringing', 'busy', 'everywhere', 'declined', 'moved'])
const CANCELS = countOf(CALLS, ['early', 'ringing'])
const SLOW = countOf(CALLS, ['slow'])

/** What an edge counts of. */
const COUNTED = {
  invites: ['xkeys_sip_messages_total', { direction: 'in', method_or_class: 'INVITE' }],
  cancels: ['xkeys_sip_messages_total', { direction: 'in', method_or_class: 'CANCEL' }],
  acks: ['xkeys_sip_messages_total', { direction: 'in', method_or_class: 'ACK' }],
  byes: ['xkeys_sip_messages_total', { direction: 'in', method_or_class: 'BYE' }],
  success: ['xkeys_sip_messages_total', { direction: 'in', method_or_class: '2xx' }],
  verified: ['xkeys_verifications_total', { direction: 'request', outcome: 'accept' }],
  unsigned: ['xkeys_verifications_total', { direction: 'request', outcome: 'skipped' }],
  verifiedResponses: ['xkeys_verifications_total', { direction: 'response', outcome: 'accept' }],
  rejections: ['xkeys_rejections_total', {}],
  dropped: ['xkeys_dropped_total', {}],
  kernelDrops: ['xkeys_udp_receive_drops_total', {}],
} as const
type Counts = Readonly<Record<keyof typeof COUNTED, number>>

async function count({ edge }: Chain): Promise<Counts> {
  const entries = Object.entries(COUNTED).map(
    async ([name, [metric, labels]]) => [name, await edge.metric(metric, labels)] as const,
  )
  return Object.fromEntries(await Promise.all(entries)) as Counts
}

/** Plays calls of all kinds from one party to the other; each must end as its scenario says. */
async function play(chain: Chain, from: Endpoint, to: Endpoint, callee: Endpoint) {
  const run = { calls: CALLS, rate: RATE, seconds: 90, patience: 30 } satisfies Partial<SippOptions>
  const before = await count(chain)
  const answering = await startSipp({ ...run, scenario: 'mixedCallee', local: callee })
  const calling = await startSipp({ ...run, scenario: 'mixedCaller', local: from, to, list: kindList() })
  const results = await Promise.all([calling.result, answering.result])
  const after = await count(chain)
  for (const result of results) {
    if (result.code !== 0) throw new Error(result.output.slice(-20_000))
    expect(result).toMatchObject({ failed: 0, successful: CALLS })
  }
  const names = Object.keys(after) as (keyof Counts)[]
  const counts = Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as Counts
  const [ofCaller, ofCallee] = results.map(({ retransmissions }) => retransmissions)
  return { ...counts, ofCaller: ofCaller!, ofCallee: ofCallee! }
}

function inward(chain: Chain) {
  const { core, kamailio, upstream } = chain.places
  return play(chain, core, kamailio, upstream)
}

function outward(chain: Chain) {
  const { core, edgeUpstream, upstream } = chain.places
  return play(chain, upstream, edgeUpstream, core)
}

const MIX =
  'CANCEL behind 100 and while ringing; INVITE, INFO, UPDATE in the dialog and BYE from both ends; 486, 600, 603, 302; retransmissions; loss'

describePeers(`${4 * CALLS} calls at ${2 * RATE} calls/s (${MIX}): none fails`, ['kamailio', 'sipp'], () => {
  let stateless: Chain
  let transactional: Chain

  beforeAll(async () => {
    stateless = await startChain()
    transactional = await startChain((config) => stateful(config))
  })

  it(`from kamailio to sipp: the ${CANCELS} CANCEL and ${FAILURES} ACK of failures that a stateful one makes pass unsigned`, async () => {
    const [plain, relayed] = await Promise.all([inward(stateless), inward(transactional)])
    console.log(`kamailio → edge: ${JSON.stringify({ plain, relayed })}`)
    // The stateless one passes CANCEL and ACK on, and signs them like all else.
    expect(plain).toMatchObject({ rejections: 0, unsigned: 0 })
    expect(relayed.unsigned).toBeGreaterThanOrEqual(CANCELS + FAILURES)
    // On a machine that stalls a CANCEL comes again, when the call has failed and none is expected.
    expect(relayed.rejections).toBeLessThanOrEqual(relayed.cancels - CANCELS)
    for (const result of [plain, relayed]) {
      expect(result).toMatchObject({ dropped: 0, kernelDrops: 0 })
      expect(result.cancels).toBeGreaterThanOrEqual(CANCELS)
      // The 200 of an INVITE goes again through both: nobody but the caller acknowledges it.
      expect(result.ofCallee).toBeGreaterThanOrEqual(SLOW)
      expect(result.invites).toBeGreaterThan(CALLS + countOf(CALLS, ['hold']) + SLOW)
    }
    // INVITE and BYE; the stateful one answers the INVITE with 100, and sends it again itself.
    expect(plain.ofCaller).toBeGreaterThanOrEqual(2 * SLOW)
  }, 100_000)

  it('from sipp to kamailio: it checks all requests, and signs the responses and the requests of the callee', async () => {
    const [plain, relayed] = await Promise.all([outward(stateless), outward(transactional)])
    console.log(`edge → kamailio: ${JSON.stringify({ plain, relayed })}`)
    for (const result of [plain, relayed]) {
      expect(result).toMatchObject({ rejections: 0, dropped: 0, unsigned: 0, kernelDrops: 0 })
      expect(result.cancels).toBeGreaterThanOrEqual(CANCELS)
      expect(result.verified).toBeGreaterThan(countOf(CALLS, ['dropped', 'held', 'talk', 'talk']))
      expect(result.ofCallee).toBeGreaterThanOrEqual(SLOW)
    }
    expect(plain.ofCaller).toBeGreaterThanOrEqual(2 * SLOW)
  }, 100_000)
})
