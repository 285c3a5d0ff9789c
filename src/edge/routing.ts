/**
 * Where a request goes, and whose answer a response is.
 * @module
 */
import type { MessageView } from '../message/view.ts'
import { addressText } from '../template/address.ts'
import type { EdgeConfig } from './config.ts'
import { inDialog } from './facts.ts'
import { acrossPath, inboundPath, outboundPath, type Locals, type Path } from './path.ts'
import type { Trunk } from './trunk.ts'

/** The ways through the edge. */
export interface Routing {
  /** Of a verified request. `mark`: that of the first Record-Route entry of ours in its route set. */
  fromTrunk(trunk: Trunk, view: MessageView, mark: string | undefined): Path
  /** Of a request of the upstream; undefined where it names nobody whom we know. */
  fromUpstream(view: MessageView, mark: string | undefined): Path | undefined
  /** The way that a request went by whose branch bears this name, where its response arrives. */
  answered(arrives: 'trunk' | 'upstream', name: string): Path | undefined
}

/** Lays out the ways between the upstream and the trunks, and between trunks where one reaches the other. */
export function createRouting(config: EdgeConfig, trunks: readonly Trunk[], locals: Locals): Routing {
  const byName = new Map(trunks.map((trunk) => [trunk.name, trunk]))
  const ways = new Map(
    trunks.map((trunk): [Trunk, Ways] => {
      const others = trunks.filter((other) => isReached(trunk, other) || isReached(other, trunk))
      return [
        trunk,
        {
          inbound: inboundPath(trunk, config.upstream.target, locals),
          outbound: outboundPath(trunk, locals),
          // A dialog is asked in from both ends, whoever may begin it.
          across: new Map(others.map((other) => [other, acrossPath(trunk, other, locals)])),
          reached: trunks.filter((other) => isReached(trunk, other)),
        },
      ]
    }),
  )
  const of = [...ways.values()]
  const answers = {
    trunk: named(of.flatMap(({ outbound, across }) => [outbound, ...across.values()])),
    upstream: named(of.map(({ inbound }) => inbound)),
  }

  /** The trunk of a mark; the MAC is for the caller to check. */
  function marked(mark: string | undefined): readonly [trunk: Trunk | undefined, mac: string] {
    const [name = '', mac = ''] = mark?.split('.') ?? []
    return [byName.get(name), mac]
  }

  return {
    fromTrunk(trunk, view, mark) {
      const { inbound, across, reached } = ways.get(trunk)!
      if (across.size === 0) return inbound
      if (inDialog(view)) {
        const [other, mac] = marked(mark)
        const path = other && across.get(other)
        return path?.to?.marksFor(trunk).isMark(mac, view) === true ? path : inbound
      }
      const other = asked(view, reached)
      return (other && across.get(other)) ?? inbound
    },
    // In a dialog the Request-URI is the peer's own choice, and must not lead to another trunk.
    fromUpstream(view, mark) {
      if (trunks.length === 1) return ways.get(trunks[0]!)!.outbound
      const [other, mac] = marked(mark)
      if (other?.marks.isMark(mac, view) === true) return ways.get(other)!.outbound
      const found = inDialog(view) ? undefined : asked(view, trunks)
      return found && ways.get(found)!.outbound
    },
    answered: (arrives, name) => answers[arrives].get(name),
  }
}

/** The ways of one trunk. */
interface Ways {
  readonly inbound: Path
  readonly outbound: Path
  /** To other trunks, in dialogs at least. */
  readonly across: ReadonlyMap<Trunk, Path>
  /** Trunks to which its requests may go. */
  readonly reached: readonly Trunk[]
}

function isReached(from: Trunk, to: Trunk): boolean {
  return from.config.reaches.includes(to.name)
}

/** Of some trunks, the one that the Request-URI names by a domain or by the target's address. */
function asked(view: MessageView, among: readonly Trunk[]): Trunk | undefined {
  const { uri } = view
  if (uri === null || among.length === 0) return undefined
  const host = addressText(view.text(uri.hostStart, uri.hostEnd).toLowerCase())
  const port = uri.port === 0 ? 5060 : uri.port
  return among.find(
    ({ config: { domains, target } }) =>
      domains.some((domain) => domain.toLowerCase() === host) ||
      (target.address === host && target.port === port),
  )
}

function named(paths: readonly Path[]): ReadonlyMap<string, Path> {
  return new Map(paths.map((path) => [path.name, path]))
}
