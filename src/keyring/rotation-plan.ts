/**
 * The steps of a guided rotation as edits of the keyring. Each is one replacement of the file, so a crash leaves the
 * state before it or the one after it, never one between.
 * @module
 */
import { isoOf, type Missing } from './rotation-evidence.ts'
import { misfit } from './rotation-fit.ts'
import type { RotationStatus } from './rotation.ts'
import { HELD_FROM } from './rotation-state.ts'
import { MAX_SKEW_MS } from './state.ts'

/** One change of the keyring's text. */
export type RotationEdit =
  | { readonly edit: 'add'; readonly key: string; readonly activeFrom: Date }
  | {
      readonly edit: 'set'
      readonly key: string
      readonly setting: 'active_from' | 'expires'
      readonly time: Date
    }
  | { readonly edit: 'unset'; readonly key: string; readonly setting: 'expires' }
  | { readonly edit: 'remove'; readonly key: string }

/** What a command is to do, or why not. */
export type RotationPlan =
  | {
      readonly ok: true
      readonly key: string
      readonly edits: readonly RotationEdit[]
      /** What the operator should know. */
      readonly notes: readonly string[]
      /** What force went past. */
      readonly forced: readonly Missing[]
    }
  | { readonly ok: false; readonly missing: readonly Missing[] }

/** How a step is asked for: with evidence, or past what is missing of it. Force never goes past the state. */
export type Manner = 'by-evidence' | 'force'

/** `rotate start`: a new key that verifies and is held. */
export function planStart(status: RotationStatus, key: string): RotationPlan {
  const missing = misfit(status, 'start')
  if (missing !== undefined) return { ok: false, missing }
  return done(key, [{ edit: 'add', key, activeFrom: HELD_FROM }])
}

/** `rotate promote`: the waiting key signs from `at` on, a whole second. */
export function planPromote(status: RotationStatus, at: Date, manner: Manner): RotationPlan {
  const { missing } = status.promote
  if (isRefused(missing, manner)) return { ok: false, missing }
  const { name } = status.waiting[0]!
  return done(name, [{ edit: 'set', key: name, setting: 'active_from', time: floor(at) }], [], missing)
}

/**
 * `rotate abort`. Before the promotion the waiting key goes, where that is safe; after it the key is held again, and
 * the one before signs, without an end.
 */
export function planAbort(status: RotationStatus, manner: Manner): RotationPlan {
  const { missing } = status.abort
  if (isRefused(missing, manner)) return { ok: false, missing }
  const { active, previous, waiting, peers } = status
  const [waits] = waiting
  if (status.state === 'started') {
    const notes = peers
      .filter(({ confirmed }) => confirmed !== undefined)
      .map(
        ({ peer }) => `${peer} was confirmed to hold ${waits!.name}: tell its operator not to sign with it`,
      )
    return done(waits!.name, [{ edit: 'remove', key: waits!.name }], notes, missing)
  }
  const back = waits ?? active!
  const edits: RotationEdit[] = []
  const notes: string[] = []
  // A key cannot end before it signs.
  if (back.expires !== undefined) {
    edits.push({ edit: 'unset', key: back.name, setting: 'expires' })
    notes.push(`the end of ${back.name}, ${isoOf(back.expires)}, is taken away`)
  }
  edits.push({ edit: 'set', key: back.name, setting: 'active_from', time: HELD_FROM })
  if (waits === undefined && previous!.expires !== undefined) {
    edits.push({ edit: 'unset', key: previous!.name, setting: 'expires' })
    notes.push(`the end of ${previous!.name}, ${isoOf(previous!.expires)}, is taken away: it signs again`)
  }
  for (const { peer, seen } of peers) {
    const moved = seen.find(({ key }) => key === back.name)
    if (moved === undefined) continue
    notes.push(
      waits === undefined
        ? `${peer} was seen on ${back.name} at ${isoOf(moved.at)}: it must still hold ${previous!.name}; ${back.name} goes on verifying`
        : `${peer} was seen on ${back.name} at ${isoOf(moved.at)}: it goes on verifying`,
    )
  }
  return done(back.name, edits, notes, missing)
}

/** `key retire`: an older key ends at `end`, a whole second, or a moment later. */
export function planRetire(status: RotationStatus, key: string, end: Date, manner: Manner): RotationPlan {
  const step = status.retire.find((one) => one.key === key)
  const missing = step === undefined ? [unretirable(status, key)] : step.missing
  if (step === undefined || isRefused(missing, manner)) return { ok: false, missing }
  const time = new Date(Math.ceil(end.getTime() / 1000) * 1000)
  const { expires, revoked } = status.overlapping.find(({ name }) => name === key)!
  const ends = expires ?? revoked
  if (ends !== undefined && ends <= time) {
    const message = `${key} ends already at ${isoOf(ends)}`
    return { ok: false, missing: [{ kind: 'state', message, remedy: 'an earlier time' }] }
  }
  return done(
    key,
    [{ edit: 'set', key, setting: 'expires', time }],
    retransmissions(status, key, time),
    missing,
  )
}

/** When a key that is retired now ends, unless a time is given: what clocks may differ by. */
export function defaultEnd(now: Date): Date {
  return new Date(now.getTime() + MAX_SKEW_MS)
}

/** 64·T1 (RFC 3261 §17.1.1.2, §17.1.2.2): so long a message may be sent again as it is, with its old token. */
const RETRANSMITTED_MS = 32_000

function retransmissions({ peers }: RotationStatus, key: string, end: Date): readonly string[] {
  return peers.flatMap(({ peer, seen }) => {
    const last = seen.find((one) => one.key === key)?.at
    if (last === undefined || last.getTime() + RETRANSMITTED_MS <= end.getTime()) return []
    const until = isoOf(new Date(last.getTime() + RETRANSMITTED_MS))
    return [`what ${peer} sent with ${key} until ${isoOf(last)} may be retransmitted until ${until}`]
  })
}

function unretirable({ active, waiting, group }: RotationStatus, key: string): Missing {
  if (key === active?.name) {
    const remedy = 'a newer key promoted over it; or xkeys key revoke, which ends it at once'
    return { kind: 'state', message: `${key} is the key that signs`, remedy }
  }
  if (waiting.some(({ name }) => name === key)) {
    return {
      kind: 'state',
      message: `${key} waits to sign`,
      remedy: 'xkeys rotate abort, which takes it out',
    }
  }
  const message = `group ${group} has no usable key ${JSON.stringify(key)}`
  return { kind: 'state', message, remedy: 'one that xkeys rotate status shows' }
}

function isRefused(missing: readonly Missing[], manner: Manner): boolean {
  return manner === 'force' ? missing.some(({ kind }) => kind === 'state') : missing.length > 0
}

function done(
  key: string,
  edits: readonly RotationEdit[],
  notes: readonly string[] = [],
  forced: readonly Missing[] = [],
): RotationPlan {
  return { ok: true, key, edits, notes, forced }
}

function floor(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000)
}
