/**
 * The nodes of a fleet as commands show them.
 * @module
 */
import { isClockOff, type FleetNode } from '../keyring/fleet.ts'
import { MAX_SKEW_MS } from '../keyring/state.ts'
import { formatRows } from './key-row.ts'

/** A table of the nodes, and what is to be said of their clocks. */
export function fleetScreen(nodes: readonly FleetNode[]): readonly string[] {
  if (nodes.length === 0) return ['no node has told of itself']
  const rows = nodes.map(({ node, status, revision, keyring, age, ahead, version, refuses, stopped }) => [
    node,
    status,
    revision === undefined ? '-' : String(revision),
    keyring ?? '-',
    age === undefined ? 'unknown' : `${secondsOf(age)} ago`,
    ahead === undefined ? '-' : clockOf(ahead),
    version ?? '-',
    refuses ?? (stopped === undefined ? '-' : 'stopped'),
  ])
  const head = ['node', 'status', 'revision', 'keyring', 'heard of', 'clock', 'version', 'refuses']
  return [...formatRows([head, ...rows]), ...clockLines(nodes)]
}

/** A line for each node whose clock cannot be relied on. */
function clockLines(nodes: readonly FleetNode[]): readonly string[] {
  return nodes.filter(isClockOff).map(({ node, ahead = 0 }) => {
    const side = ahead > 0 ? 'ahead of' : 'behind'
    const least = MAX_SKEW_MS / 1000
    return `clock of ${node} is ${secondsOf(Math.abs(ahead))} ${side} the store's, more than ${least} s: its keys begin and end at other times, and its evidence cannot be compared`
  })
}

function clockOf(ahead: number): string {
  return `${ahead < 0 ? '-' : '+'}${secondsOf(Math.abs(ahead))}`
}

function secondsOf(milliseconds: number): string {
  const seconds = milliseconds / 1000
  return `${seconds < 100 ? seconds.toFixed(1) : Math.round(seconds)} s`
}
