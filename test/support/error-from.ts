import { expect } from 'vitest'
import { ConfigError } from '../../src/errors.ts'

/** The ConfigError that a promise rejects with. */
export async function errorFrom(promise: Promise<unknown>): Promise<ConfigError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  return expect.fail('it did not reject')
}
