/**
 * One state of two things that are needed both.
 * @module
 */

/** Told of what begins to fail, with a code, and of what works again. */
export type OnState = (state: 'up' | 'down', code: string) => void

/** Where each of two is told of. What begins to fail is told of each; that it works again, once both do. */
export function joinStates(onState: OnState = () => {}): readonly [OnState, OnState] {
  const down = new Set<OnState>()
  const part = (): OnState => {
    const own: OnState = (state, code) => {
      const isNews = down.has(own) !== (state === 'down')
      if (state === 'down') down.add(own)
      else down.delete(own)
      if (isNews && (state === 'down' || down.size === 0)) onState(state, code)
    }
    return own
  }
  return [part(), part()]
}
