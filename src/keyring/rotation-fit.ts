/**
 * Which command of a rotation fits which state. docs/rotation.md has the same as a table.
 * @module
 */
import { isoOf, type Missing } from './rotation-evidence.ts'
import type { RotationPosition } from './rotation-state.ts'

/** Why a command does not fit the state; `undefined` where it does. Evidence is another matter. */
export function misfit(
  { state, waiting, overlapping, active, previous, group }: RotationPosition,
  command: 'start' | 'confirm' | 'promote' | 'abort',
): readonly Missing[] | undefined {
  const names = waiting.map(({ name }) => name).join(', ')
  if (state === 'empty') {
    return refuse(`group ${group} has no usable key`, 'one: xkeys key add')
  }
  if (state === 'crowded') {
    return refuse(`several keys wait to sign: ${names}`, 'only one of them: xkeys key revoke')
  }
  const waits = waiting.length === 1
  switch (command) {
    case 'start':
      if (waits) return refuse(`key ${names} waits already`, 'xkeys rotate promote, or abort')
      if (state === 'promoted') {
        const old = overlapping.filter((key) => key.expires === undefined && key.revoked === undefined)
        const list = old.map(({ name }) => name).join(', ')
        return refuse(`the last rotation is not over: ${list} has no end`, 'xkeys key retire')
      }
      return undefined
    case 'confirm':
    case 'promote':
      return waits ? undefined : refuse('no key waits to sign', 'xkeys rotate start')
    case 'abort':
      if (state === 'idle')
        return refuse('there is no rotation to abort', 'one that xkeys rotate start begins')
      if (active === undefined) {
        return refuse(`without ${names} no key would sign or verify`, 'xkeys rotate promote')
      }
      if (!waits && previous?.revoked !== undefined) {
        const until = isoOf(previous.revoked)
        return refuse(`${previous.name} would sign again, and is revoked from ${until}`, 'xkeys rotate start')
      }
      return undefined
  }
}

function refuse(message: string, remedy: string): readonly Missing[] {
  return [{ kind: 'state', message, remedy }]
}
