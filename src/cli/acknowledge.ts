/**
 * Waiting until the nodes of a fleet have a keyring in force: their heartbeats say so.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError, type Command } from 'commander'
import {
  aheadOfStore,
  keyringFingerprint,
  viewFleet,
  type FleetNode,
  type WantedKeyring,
} from '../keyring/fleet.ts'
import type { KeyringStore } from '../keyring/keyring-store.ts'
import { MAX_SKEW_MS } from '../keyring/state.ts'
import { EXIT } from './exit.ts'
import { isShared } from './keyring-change.ts'
import { openKeyring, type KeyringTarget } from './keyring-target.ts'
import { print } from './io.ts'

/** The options of `addWaitOption`. */
export interface WaitOptions {
  /** Seconds. */
  readonly wait: number
}

/** Adds `--wait`. */
export function addWaitOption(command: Command): Command {
  return command.option(
    '--wait <seconds>',
    'of a shared keyring: how long each live node is waited for; exit 1 where one is missing',
    waitOption,
    10,
  )
}

function waitOption(text: string): number {
  const seconds = Number(text)
  if (!/^\d{1,4}(?:\.\d{1,3})?$/.test(text) || seconds > 3600)
    throw new InvalidArgumentError('It is a number of seconds from 0 to 3600.')
  return seconds
}

/** Who has a keyring in force, and who has not. */
export interface Acknowledgement {
  readonly revision: number
  readonly acknowledged: readonly string[]
  /** Where it is `current`, its clock is behind this machine's: what has ended here has not yet ended there. */
  readonly missing: readonly FleetNode[]
  /** How far this machine's clock is ahead of the store's, milliseconds: it dates the end of keys. */
  readonly ahead: number
  /** How long it took, seconds. */
  readonly seconds: number
  /** The store could not be asked who has it. */
  readonly unknown?: string
}

/** Time between two looks, milliseconds. */
const LOOK_EVERY_MS = 50

/**
 * Waits for every node that is live; of those that are silent nothing is to be expected. A node has the keyring once it
 * told of this revision, or of a later one that the store has, too: where it has lost that, the node refuses this one.
 */
export async function awaitNodes(
  store: KeyringStore,
  wanted: WantedKeyring,
  { wait }: WaitOptions,
): Promise<Acknowledgement> {
  const { revision } = wanted
  const start = performance.now()
  for (;;) {
    const looked = await lookAt(store, wanted)
    const seconds = Math.round((performance.now() - start) / 10) / 100
    const isOver = looked.unknown === undefined && !looked.missing.some(isExpected)
    if (isOver || seconds >= wait) return { revision, ...looked, seconds }
    await sleep(LOOK_EVERY_MS)
  }
}

/** Nothing is to be expected of a node that is silent, nor of a clock. */
function isExpected({ status }: FleetNode): boolean {
  return status === 'behind' || status === 'refusing'
}

async function lookAt(
  store: KeyringStore,
  wanted: WantedKeyring,
): Promise<Omit<Acknowledgement, 'revision' | 'seconds'>> {
  try {
    const found = await store.heartbeats()
    const ahead = aheadOfStore(found, Date.now())
    const nodes = viewFleet(found, wanted)
    const isLater = ({ status, revision = 0 }: FleetNode): boolean =>
      status === 'behind' && revision > wanted.revision
    const stored = nodes.some(isLater) ? await store.read() : 'empty'
    const newest = stored === 'empty' ? 0 : stored.revision
    const has = (node: FleetNode): boolean =>
      (node.status === 'current' || (isLater(node) && node.revision! <= newest)) &&
      timeBehind(node, ahead) <= MAX_SKEW_MS
    return {
      acknowledged: nodes.filter(has).map(({ node }) => node),
      missing: nodes.filter((node) => !has(node)),
      ahead,
    }
  } catch (error) {
    return {
      acknowledged: [],
      missing: [],
      ahead: 0,
      unknown: error instanceof Error ? error.message : 'unknown error',
    }
  }
}

/**
 * Waits for the nodes of a shared keyring and says who has it; of a keyring in a file nothing.
 * @param text what is stored now
 * @returns for the caller to print, where `json` is asked for
 */
export async function acknowledge(
  target: KeyringTarget,
  text: string,
  options: WaitOptions & { readonly json?: true },
): Promise<Acknowledgement | undefined> {
  if (!isShared(target)) return undefined
  const wanted = wantedOf(target, text)
  const { revision } = wanted
  const told = await awaitNodes(target.store, wanted, options)
  if (!isComplete(told)) process.exitCode = EXIT.refused
  if (options.json) return told
  const { acknowledged, missing, ahead, seconds, unknown } = told
  if (acknowledged.length > 0) print(`acknowledged by ${acknowledged.join(', ')} in ${seconds.toFixed(2)} s`)
  else if (missing.length === 0 && unknown === undefined)
    print('no node has told of itself: none was waited for')
  if (unknown !== undefined) fail(`who has revision ${revision} is unknown: ${unknown}`)
  for (const node of missing) fail(reasonOf(node, revision, ahead))
  return told
}

function fail(line: string): void {
  process.stderr.write(`xkeys: not acknowledged: ${line}\n`)
}

/** What nodes should have, where this text is stored. */
export function wantedOf(target: KeyringTarget, text: string): WantedKeyring {
  const { keyring } = openKeyring(target, text)
  return { revision: keyring.revision ?? 0, keyring: keyringFingerprint(keyring) }
}

function isComplete({ missing, unknown }: Acknowledgement): boolean {
  return missing.length === 0 && unknown === undefined
}

/** How far a node's clock is behind this machine's, milliseconds. */
function timeBehind({ ahead = 0 }: FleetNode, ours: number): number {
  return ours - ahead
}

function reasonOf(found: FleetNode, wanted: number, ours: number): string {
  const { node, status, refuses, revision } = found
  const at = revision === undefined ? '' : `, had revision ${revision}`
  switch (status) {
    case 'silent':
      return `${node} is silent${at}; where it is gone for good, xkeys fleet forget ${node}`
    case 'refusing':
      return `${node} refuses it: ${refuses}${at}; its log says more`
    case 'behind':
      return revision !== undefined && revision > wanted
        ? `${node} has something else in force, revision ${revision}`
        : `${node} is behind${at}`
    case 'current':
      return `${node} has it, but its clock is ${Math.round(timeBehind(found, ours) / 1000)} s behind this machine's: a key that has ended counts there until then`
  }
}
