/**
 * An edge with users as its operator runs it, its registrar behind it, a service that may be called, and somebody there
 * who calls users.
 */
import type { Endpoint } from '../../src/message/types.ts'
import { freePorts } from '../support/peers.ts'
import { startEdge, type EdgeProcess } from './edge-process.ts'
import { startSipp, type Sipp, type SippOptions } from './sipp.ts'
import type { AccountSettings } from './users-databases.ts'
import { SERVICE, startRegistrar, type Registrar } from './users-registrar.ts'
import { userLine } from './users-scenarios.ts'

/** Key groups of nonces and flow tokens, and of the trunk; worthless, because published. */
export const USER_KEYS = ['nonces', 'carrier']
  .map((group) => {
    const value = `xks_DEMO-worthless-because-published-interop-${group}`
    return `[[groups.${group}.keys]]\nname = "first"\nvalue = "${value}"\n`
  })
  .join('\n')

/** Who stands where. */
export interface UserPlaces {
  readonly edge: Endpoint
  readonly edgeUpstream: Endpoint
  readonly registrar: Endpoint
  readonly service: Endpoint
  /** Calls users, from the registrar's side. */
  readonly caller: Endpoint
  /** The peer at the other end of the edge's trunk. */
  readonly carrier: Endpoint
}

/** All of it, at work. */
export interface World {
  readonly places: UserPlaces
  readonly edge: EdgeProcess
  readonly registrar: Registrar
  /** The service: it takes so many calls. */
  serve(calls: number, scenario?: 'sessionCallee' | 'decliningCallee'): Promise<Sipp>
  /** Calls a user through the registrar, and hangs up. */
  callUser(user: string): Promise<Sipp>
  stop(): Promise<void>
}

/** Settings of `[users]` for clients that know MD5 alone, beside one that knows better. */
export const USERS = `[users]
domains = ["example.org"]
nonce_group = "nonces"
algorithms = ["SHA-256", "MD5"]
in_dialog = "route"

${['SIPp', 'kamailio', 'sipsak'].map((device) => `\n[[users.quirks]]\nuser_agent = "${device}"\nalgorithms = ["MD5"]\n`).join('')}`

/** Places for a world, on addresses of their own. */
export async function userPlaces(): Promise<UserPlaces> {
  const [port = 0] = await freePorts(1)
  const at = (last: number): Endpoint => ({ address: `127.0.0.${last}`, port })
  return { edge: at(3), edgeUpstream: at(4), registrar: at(5), service: at(6), caller: at(7), carrier: at(8) }
}

const text = ({ address, port }: Endpoint): string => `${address}:${port}`

/** The edge's configuration, without its users. */
const edgeConfig = ({
  edge,
  edgeUpstream,
  registrar,
  carrier,
}: EdgePlaces): string => `keyring = "keyring.toml"
[listen]
trunk = "${text(edge)}"
upstream = "${text(edgeUpstream)}"
[upstream]
target = "${text(registrar)}"
[metrics]
listen = "127.0.0.1:0"
[limits]
drain_timeout = 0
[agreements.carrier]
header = "X-Auth"
group = "carrier"
algorithm = "sha256"
request = "$ci:$hdr(CSeq):$fu:$ru"
[trunks.carrier]
sources = ["${carrier.address}"]
target = "${text(carrier)}"
agreement = "carrier"
`

/** Where an edge stands, and what it knows of. */
export type EdgePlaces = Pick<UserPlaces, 'edge' | 'edgeUpstream' | 'registrar' | 'carrier'>

/** What is not as in every test. */
export interface EdgeSettings {
  /** Lines of `[users.failures]`; by default nobody is banned. */
  readonly failures?: string
  /** Whole tables. */
  readonly tables?: string
}

/** Starts an edge alone. */
export function startUserEdge(
  places: EdgePlaces,
  accounts: AccountSettings,
  { failures = 'per_source = 1000\nper_user = 1000\n', tables = '' }: EdgeSettings = {},
): Promise<EdgeProcess> {
  const users = [`[users.failures]\n${failures}`, `[users.credentials]\n${accounts.lines}`, tables]
  return startEdge([edgeConfig(places), USERS, ...users].join('\n'), USER_KEYS, accounts.files)
}

/** Starts it. */
export async function startWorld(accounts: AccountSettings, settings?: EdgeSettings): Promise<World> {
  const places = await userPlaces()
  const edge = await startUserEdge(places, accounts, settings)
  const registrar = await startRegistrar(places.registrar, places.service)
  return {
    places,
    edge,
    registrar,
    serve: (calls, scenario = 'sessionCallee') =>
      startSipp({ scenario, local: places.service, calls, keep: 'messages' }),
    callUser: (user) =>
      startSipp({
        scenario: 'sessionCaller',
        local: places.caller,
        to: places.registrar,
        calls: 1,
        list: `SEQUENTIAL\n${user}\n`,
      }),
    async stop() {
      await Promise.all([edge.stop(), registrar.stop()])
    },
  }
}

/** Plays a scenario of a user against the edge; fails where a call of it does. */
export async function playUser(
  world: { readonly places: Pick<UserPlaces, 'edge'> },
  user: readonly [name: string, password: string],
  options: Pick<SippOptions, 'scenario' | 'local'> & Partial<SippOptions>,
): Promise<void> {
  const isCall = /call/i.test(options.scenario)
  const sipp = await startSipp({
    to: world.places.edge,
    calls: 1,
    list: `SEQUENTIAL\n${userLine(...user, SERVICE)}`,
    authUri: isCall ? `${SERVICE}@example.org` : 'example.org',
    ...options,
  })
  await succeeds(sipp)
}

/** Waits for the end of all; throws what each SIPp tells of which not all went as its scenario says. */
export async function succeeds(...all: readonly Sipp[]): Promise<void> {
  const results = await Promise.all(all.map(({ result }) => result))
  const faults = results.filter(({ code }) => code !== 0)
  if (faults.length > 0) throw new Error(faults.map(({ output }) => output.slice(-20_000)).join('\n'))
}
