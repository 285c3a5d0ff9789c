/**
 * The shared keyring that a command of `xkeys fleet` works on.
 * @module
 */
import { UsageError } from './exit.ts'
import { isShared } from './keyring-change.ts'
import type { SharedTarget } from './keyring-change-shared.ts'
import { withTarget, type TargetOptions } from './keyring-target.ts'

/**
 * Runs `work` with it.
 * @throws UsageError where the options name a file; and as `withTarget`
 */
export function withFleet(
  options: TargetOptions,
  work: (target: SharedTarget) => Promise<void>,
): Promise<void> {
  return withTarget(options, (target) => {
    if (isShared(target)) return work(target)
    throw new UsageError(`${target.path} is a file: xkeys fleet is for a keyring that nodes share`)
  })
}
