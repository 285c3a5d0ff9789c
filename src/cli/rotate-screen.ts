/**
 * A rotation on one screen: where it stands, what is known, what is safe now.
 * @module
 */
import { isoOf, type Missing } from '../keyring/rotation-evidence.ts'
import { misfit } from '../keyring/rotation-fit.ts'
import type { RotationPosition } from '../keyring/rotation-state.ts'
import type { RotationStatus, Step } from '../keyring/rotation.ts'

/** Rows of a table, and reasons of a step, that fit on a screen. */
const MOST_ROWS = 6

/** What a state means for these keys. */
export function meaningOf(
  { state, active, waiting, overlapping, group }: RotationPosition,
  now: Date,
): string {
  const signs = active?.name ?? 'nothing'
  const waits = waiting.map(({ name }) => name).join(', ')
  const old = overlapping.map(({ name }) => name).join(', ')
  switch (state) {
    case 'idle':
      return `${signs} signs and verifies`
    case 'started':
      return `${signs} signs; ${waits} verifies and is held until it is promoted`
    case 'scheduled':
      return `${signs} signs; ${waits} verifies, and signs ${timeOf(waiting[0]!.activeFrom!, now)}`
    case 'promoted':
      return `${signs} signs; ${old} verifies until it is retired`
    case 'retiring':
      return `${signs} signs; ${overlapping
        .map((key) => `${key.name} ends ${timeOf((key.expires ?? key.revoked)!, now)}`)
        .join(', ')}`
    case 'unsigned':
      return `nothing signs; ${waits} verifies and waits to be promoted`
    case 'crowded':
      return `${signs} signs; several keys wait to sign: ${waits}`
    case 'empty':
      return `no key of ${group} is usable: nothing is signed, nothing verifies`
  }
}

/**
 * What an operator does next; `undefined` where there is nothing to do but wait, or where the state was made by hand.
 * @param keyring the path of its file; `undefined`: nodes share it, and it has none
 */
export function nextOf(
  { state, waiting, overlapping, group }: RotationPosition,
  keyring: string | undefined,
): string | undefined {
  const old = overlapping.map(({ name }) => name).join(', ')
  if (state === 'started') {
    const [before, file] =
      keyring === undefined ? ['xkeys fleet export --out sealed.toml, ', 'sealed.toml'] : ['', keyring]
    const lines = `${before}xkeys keyring export-kamailio ${file} --group ${group} --reveal`
    return `hand ${waiting[0]!.name} to every peer (${lines}), then xkeys rotate promote`
  }
  if (state === 'promoted') return `once the peers sign with the new key, xkeys key retire ${old}`
  return state === 'retiring' ? `once ${old} has ended, xkeys key prune` : undefined
}

/** Each reason with what would satisfy it, on one line. */
export function missingLines(missing: readonly Missing[]): readonly string[] {
  return shortened(
    missing.map(({ message, remedy }) => `${message}; needs: ${remedy}`),
    'more reasons',
  )
}

/** The whole screen, a line each. */
export function screenOf(status: RotationStatus): readonly string[] {
  const { group, state, now, keys, nodes, peers } = status
  return [
    `${group}: ${state}: ${meaningOf(status, now)}`,
    '',
    ...table(
      ['key', 'fingerprint', 'state', 'signs from', 'ends'],
      keys.map((key) => [
        key.key,
        key.fingerprint,
        key.state,
        key.activeFrom === undefined || key.state === 'held' ? '-' : isoOf(key.activeFrom),
        key.ends === undefined ? '-' : isoOf(key.ends),
      ]),
    ),
    '',
    ...table(
      ['node', 'keyring', 'reported', 'holds'],
      nodes.map((node) => [
        node.node,
        node.status,
        node.reported === undefined ? 'never' : timeOf(node.reported, now),
        node.holds.join(', ') || '-',
      ]),
    ),
    '',
    ...table(
      ['peer', 'last seen on', 'confirmed'],
      peers.map(({ peer, seen, confirmed }) => [
        peer,
        seen
          .toSorted((a, b) => b.at.getTime() - a.at.getTime())
          .map(({ key, at }) => `${key} ${timeOf(at, now)}`)
          .join(', ') || 'nothing',
        confirmed === undefined ? '-' : `by ${confirmed.by}, ${isoOf(confirmed.at)}`,
      ]),
    ),
    '',
    ...stepsOf(status).flatMap(({ what, safe, missing }) => [
      `${what}: ${safe ? 'safe' : 'not safe'}`,
      ...missingLines(missing).map((line) => `  ${line}`),
    ]),
  ]
}

/** The steps that fit the state, and a way out where none does. */
function stepsOf(status: RotationStatus): readonly (Step & { readonly what: string })[] {
  const start = misfit(status, 'start')
  const steps = [
    ...(start === undefined ? [{ what: 'start', safe: true, missing: [] }] : []),
    ...(fits(status.promote) ? [{ what: `promote ${status.waiting[0]!.name}`, ...status.promote }] : []),
    ...status.retire.map((step) => ({ what: `retire ${step.key}`, ...step })),
    ...(fits(status.abort) ? [{ what: 'abort', ...status.abort }] : []),
  ]
  return steps.length === 0 ? [{ what: 'start', safe: false, missing: start! }] : steps
}

/** The status as JSON tells it: no key objects, times as texts. */
export function jsonOf(status: RotationStatus): Readonly<Record<string, unknown>> {
  const { group, state, now, keys, nodes, peers, promote, retire, abort } = status
  const start = misfit(status, 'start') ?? []
  const confirm = misfit(status, 'confirm') ?? []
  return {
    group,
    state,
    meaning: meaningOf(status, now),
    now,
    keys,
    nodes,
    peers,
    start: { safe: start.length === 0, missing: start },
    confirm: { safe: confirm.length === 0, missing: confirm },
    promote,
    retire,
    abort,
  }
}

function fits(step: Step): boolean {
  return step.missing.every(({ kind }) => kind !== 'state')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  return [lines[0]!, ...shortened(lines.slice(1), `more: --json shows them`)]
}

function shortened(lines: readonly string[], rest: string): readonly string[] {
  if (lines.length <= MOST_ROWS) return lines
  return [...lines.slice(0, MOST_ROWS - 1), `… ${lines.length - MOST_ROWS + 1} ${rest}`]
}

/** A time beside now: seconds near it, the time itself farther away. */
function timeOf(time: Date, now: Date): string {
  const seconds = Math.round((now.getTime() - time.getTime()) / 1000)
  if (Math.abs(seconds) >= 3600) return isoOf(time)
  const size =
    Math.abs(seconds) < 120 ? `${Math.abs(seconds)} s` : `${Math.floor(Math.abs(seconds) / 60)} min`
  return seconds < 0 ? `in ${size}` : `${size} ago`
}
