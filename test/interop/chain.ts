/**
 * SIPp, the documented Kamailio, an edge and SIPp in a row, each on an address of its own.
 */
import { freePorts, startKamailio } from '../support/peers.ts'
import { documented, placed, type Places } from './documented.ts'
import { startEdge, type EdgeProcess } from './edge-process.ts'

/** An edge with its Kamailio. */
export interface Chain {
  readonly places: Required<Places>
  readonly edge: EdgeProcess
  /** Takes Kamailio away for as long as something else stands in its place. */
  withoutKamailio(use: () => Promise<void>): Promise<void>
  stop(): Promise<void>
}

/** Starts both. @param change what is different in the documented `kamailio.cfg` */
export async function startChain(change: (config: string) => string = (config) => config): Promise<Chain> {
  const [port = 0] = await freePorts(1)
  const places = {
    core: { address: '127.0.0.1', port },
    kamailio: { address: '127.0.0.2', port },
    edge: { address: '127.0.0.3', port },
    edgeUpstream: { address: '127.0.0.4', port },
    upstream: { address: '127.0.0.5', port },
  }
  const config = change(placed('kamailio.cfg', places))
  const edge = await startEdge(placed('edge.toml', places), documented('keyring.toml'))
  let kamailio = await startKamailio(config)
  return {
    places,
    edge,
    async withoutKamailio(use) {
      await kamailio.stop()
      await use()
      kamailio = await startKamailio(config)
    },
    async stop() {
      await Promise.all([edge.stop(), kamailio.stop()])
    },
  }
}
