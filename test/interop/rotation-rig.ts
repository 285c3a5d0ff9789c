/**
 * An edge process whose keys are rotated from the command line, and peers that take their keys as operators do: from
 * the lines that the export prints.
 */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateSecret } from '../../src/keyring/generate.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { importModparams } from '../../src/keyring/modparam.ts'
import { editHeaders } from '../../src/message/edit.ts'
import type { Endpoint } from '../../src/message/types.ts'
import type { Agreement } from '../../src/xkeys/agreement.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { contextOf } from '../support/messages.ts'
import { start, tempFolder, waitUntil, type Running } from '../support/peers.ts'
import { xkeys, type Outcome } from '../support/xkeys.ts'
import { CLI } from './edge-process.ts'
import type { Hooks } from './rotation-load.ts'

/** A running edge with its files. */
export interface RotatedEdge extends Running {
  readonly folder: string
  /** The process's own number, not that of its watchdog. */
  pid(): number
  /** Sum of a metric's series that hold these words. */
  metric(name: string, ...words: readonly string[]): Promise<number>
  /** All metrics as they are served. */
  exposition(): Promise<string>
  /** `xkeys …` on its configuration. */
  cli(...words: readonly string[]): Promise<Outcome>
  /** The same again and again until it is not refused; fails when that takes too long. */
  step(...words: readonly string[]): Promise<string>
  /** The lines for a peer; `signs: 'new'` with the held key as the one that signs. */
  lines(group: string, signs?: 'new'): Promise<string>
}

/** A keyring with one new key in each group. */
export function newKeyring(...groups: readonly string[]): string {
  return groups
    .map((group) => `[[groups.${group}.keys]]\nname = "first"\nvalue = "${generateSecret()}"\n`)
    .join('\n')
}

/** How long a step may wait for its evidence, milliseconds: a report comes every few seconds. */
const PATIENCE = 40_000

/**
 * Starts an edge.
 * @param config its configuration, without `keyring`, `state` and `node`
 */
export async function startRotatedEdge(
  config: string,
  keyring: string,
  node: readonly string[] = [],
): Promise<RotatedEdge> {
  const folder = tempFolder()
  const head = 'keyring = "keyring.toml"\nstate = "state"\nnode = "edge-1"\n'
  writeFileSync(join(folder, 'edge.toml'), head + config)
  writeFileSync(join(folder, 'keyring.toml'), keyring, { mode: 0o600 })
  mkdirSync(join(folder, 'state'))
  const edge = start(process.execPath, [...node, CLI, 'run', '--config', 'edge.toml'], folder)
  let metrics: { address: string; port: number } | undefined
  await waitUntil(edge, () => {
    const line = edge
      .output()
      .split('\n')
      .find((text) => text.includes('"event":"started"'))
    if (line !== undefined) ({ metrics } = JSON.parse(line) as { metrics: typeof metrics })
    return line !== undefined
  })
  const cli = (...words: readonly string[]): Promise<Outcome> =>
    xkeys([...words, '--config', 'edge.toml'], { cwd: folder })
  const exposition = async (): Promise<string> => {
    const response = await fetch(`http://${metrics!.address}:${metrics!.port}/metrics`)
    return response.text()
  }
  return {
    ...edge,
    folder,
    cli,
    exposition,
    pid: () => pidOf(folder),
    async metric(name, ...words) {
      let sum = 0
      for (const line of (await exposition()).split('\n')) {
        const [, series, labels = '', value] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? []
        if (series === name && words.every((word) => labels.includes(word))) sum += Number(value)
      }
      return sum
    },
    async step(...words) {
      for (const end = Date.now() + PATIENCE; ;) {
        const { stdout, stderr, exit } = await cli(...words)
        if (exit === 0) return stdout
        if (exit !== 1 || Date.now() > end) throw new Error(`xkeys ${words.join(' ')}: ${exit}\n${stderr}`)
        await sleep(300)
      }
    },
    async lines(group, signs) {
      const now = signs === 'new' ? ['--now', '9999-12-31T23:59:59Z'] : []
      const { stdout, stderr, exit } = await xkeys(
        ['keyring', 'export-kamailio', 'keyring.toml', '--group', group, '--reveal', ...now],
        { cwd: folder },
      )
      if (exit !== 0) throw new Error(stderr)
      return stdout
    },
  }
}

/** The number of the node process that runs in the folder, not that of its watchdog. */
export function pidOf(folder: string): number {
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const [program = ''] = readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0')
      if (program === process.execPath && readlinkSync(`/proc/${name}/cwd`) === folder) return Number(name)
    } catch {
      // It is gone.
    }
  }
  throw new Error(`no edge runs in ${folder}`)
}

/** A peer's own keys. */
export interface PeerKeys {
  /** Takes keys as lines of a kamailio.cfg: the last one signs, all verify. */
  take(lines: string): void
  readonly hooks: Hooks
}

/** Signs and verifies as the peer at `local` does, under the edge's own agreement. */
export function peerKeys(agreement: Agreement, local: Endpoint, edge: Endpoint): PeerKeys {
  let ring: Keyring | undefined
  const keyring = (): Keyring => ring!
  const signer = createSigner({ agreement, keyring })
  const verifier = createVerifier({ agreement, keyring })
  return {
    take: (lines) => {
      ring = importModparams(lines, new Date())
    },
    hooks: {
      sign(bytes) {
        const result = signer.sign(contextOf(bytes, { local, source: edge }))
        if (!result.ok) throw new Error(result.reason)
        return editHeaders(bytes, { add: [[result.header, result.token]] })
      },
      refuse(bytes) {
        const result = verifier.verify(contextOf(bytes, { source: edge, local }))
        return result.ok ? undefined : result.reason
      },
    },
  }
}
