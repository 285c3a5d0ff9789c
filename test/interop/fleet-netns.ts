/**
 * A network namespace for one node, with two links to it: one for SIP, one for Redis, so that either can go down alone.
 */
import { execFileSync } from 'node:child_process'

/** A network of its own. */
export interface Netns {
  /** Words that begin a command which runs inside. */
  readonly enter: readonly string[]
  /** Addresses of the link for SIP: here, and inside. */
  readonly sip: Ends
  /** Addresses of the link for Redis. */
  readonly redis: Ends
  /** Takes the link for Redis down: packets are lost, nobody is told. */
  partition(): void
  /** Brings it back. */
  mend(): void
  remove(): void
}

interface Ends {
  readonly here: string
  readonly inside: string
}

const open = new Set<Netns>()
process.once('exit', () => {
  for (const one of open) one.remove()
})

/** Addresses of a link, from the network for benchmarks (RFC 2544): by the process, so that other runs have others. */
function endsOf(link: number): Ends {
  const first = 8 * (process.pid % 16_384) + 4 * link
  return { here: addressOf(first + 1), inside: addressOf(first + 2) }
}

function addressOf(number: number): string {
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`
}

function linkOf(kind: string, side: string): string {
  return `xk${process.pid}${kind}${side}`
}

/** Makes one; where that is not permitted, why not. */
export function openNetns(): Netns | string {
  const name = `xkeys-${process.pid}`
  const links = { s: endsOf(0), r: endsOf(1) }
  const netns: Netns = {
    enter: ['ip', 'netns', 'exec', name],
    sip: links.s,
    redis: links.r,
    partition: () => ip('link', 'set', linkOf('r', '0'), 'down'),
    mend: () => ip('link', 'set', linkOf('r', '0'), 'up'),
    remove() {
      if (!open.delete(netns)) return
      for (const kind of Object.keys(links)) quietly('link', 'del', linkOf(kind, '0'))
      quietly('netns', 'del', name)
    },
  }
  try {
    ip('netns', 'add', name)
    open.add(netns)
    ip('-n', name, 'link', 'set', 'lo', 'up')
    for (const [kind, { here, inside }] of Object.entries(links)) {
      const [near, far] = [linkOf(kind, '0'), linkOf(kind, '1')]
      ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name)
      ip('addr', 'add', `${here}/30`, 'dev', near)
      ip('link', 'set', near, 'up')
      ip('-n', name, 'addr', 'add', `${inside}/30`, 'dev', far)
      ip('-n', name, 'link', 'set', far, 'up')
    }
    return netns
  } catch (error) {
    netns.remove()
    const told = (error as { readonly stderr?: Buffer }).stderr?.toString('latin1').trim()
    return `no network namespace can be made here (${told ?? (error as Error).message})`
  }
}

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function quietly(...words: readonly string[]): void {
  try {
    ip(...words)
  } catch {
    // It is gone.
  }
}
