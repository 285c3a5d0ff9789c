/**
 * What a shared store rejects with.
 * @module
 */

/**
 * `away`: it does not answer, or not as it should. `refused`: it does not let us. `full`: it has no room. `busy`: too much
 * is asked of it at once from here. `damaged`: what it holds is not what it should be.
 */
export type StoreFault = 'away' | 'refused' | 'full' | 'busy' | 'damaged'

/** A store that cannot do what it was asked. Its message holds no secret, and it has no cause that could. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreFault

  constructor(code: StoreFault, message: string) {
    super(message)
    this.code = code
  }
}
