import { ConfigError } from '../../src/errors.ts'

/** The `ConfigError` that `run` throws; anything else is a failure. */
export function errorOf(run: () => unknown): ConfigError {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('it was accepted')
}
