/**
 * What is counted for each key of a trunk: the series of the metrics and the evidence of its use. Laid out when the
 * keyring changes, so that a message only adds.
 * @module
 */
import type { Evidence, UseCell } from '../keyring/evidence.ts'
import { foldGroup, type Keyring, type KeyringSource } from '../keyring/keyring.ts'
import type { Cell } from '../metrics/counters.ts'
import type { Metrics } from '../metrics/metrics.ts'

/** What one key of a trunk adds to. */
export interface KeyCells {
  readonly verifications: Cell
  readonly signatures: { readonly request: Cell; readonly response: Cell }
  readonly use: UseCell
}

/** The cells of a trunk's keys. */
export interface KeyCounters {
  /** `undefined`: the key is not in the keyring any more. */
  of(key: string): KeyCells | undefined
  /** Messages that could not be signed: no key is to blame. */
  readonly unsigned: { readonly request: Cell; readonly response: Cell }
  /** Lays out the cells of the keyring in force; a new key's series begin at 0. */
  refresh(): void
}

/** What the counters of a trunk are made of. */
export interface KeyCounterOptions {
  readonly peer: string
  readonly group: string
  readonly keyring: KeyringSource
  readonly metrics: Metrics
  readonly evidence: Evidence | undefined
}

/** No key has an empty name: it stands for none. */
const NO_KEY = ''

/** Creates the counters of a trunk. */
export function createKeyCounters(options: KeyCounterOptions): KeyCounters {
  const { peer, group, keyring, metrics, evidence } = options
  const cells = new Map<string, KeyCells>()
  const signatures = (key: string, outcome: 'ok' | 'error'): KeyCells['signatures'] => ({
    request: metrics.signatures.cell({ group, key, direction: 'request', outcome }),
    response: metrics.signatures.cell({ group, key, direction: 'response', outcome }),
  })

  function layOut(key: string): KeyCells | undefined {
    const ring = keyring()
    const fingerprint = ring.keys(group).find(({ name }) => name === key)?.fingerprint
    if (fingerprint === undefined) return undefined
    const made: KeyCells = {
      verifications: metrics.keyVerifications.cell({ group, key, peer }),
      signatures: signatures(key, 'ok'),
      use: evidence?.cell({ group: asWritten(ring, group), fingerprint, peer }) ?? { verified: 0, signed: 0 },
    }
    cells.set(key, made)
    return made
  }

  function refresh(): void {
    cells.clear()
    for (const { name } of keyring().keys(group)) layOut(name)
  }

  refresh()
  return { of: (key) => cells.get(key) ?? layOut(key), unsigned: signatures(NO_KEY, 'error'), refresh }
}

/** Removes the series of keys that are not in the keyring any more. */
export function removeKeySeries(metrics: Metrics, keyring: Keyring): void {
  const isGone = ({ group, key }: { readonly group: string; readonly key: string }): boolean =>
    key !== NO_KEY && !keyring.keys(group).some(({ name }) => name === key)
  metrics.keyVerifications.remove(isGone)
  metrics.signatures.remove(isGone)
}

/** The group's id as the keyring has it; an agreement may write it in another case. */
function asWritten(keyring: Keyring, group: string): string {
  return keyring.groups.find((id) => foldGroup(id) === foldGroup(group)) ?? group
}
