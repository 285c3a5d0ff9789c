/**
 * Stages and their verdicts, the pipeline and its decision.
 * @module
 */
import type { KeyRef } from '../keyring/keyring.ts'
import type { MessageContext } from '../message/types.ts'

/** Whom an accepted message is from. */
export type Identity =
  | { readonly kind: 'peer'; readonly peer: string; readonly key: KeyRef }
  | {
      readonly kind: 'user'
      readonly username: string
      readonly realm: string
      readonly attributes: Readonly<Record<string, string>>
    }
  /** A response that the agreement lets pass without a token: nothing was proved. */
  | { readonly kind: 'unsigned'; readonly peer: string }

/** One stage's opinion. */
export type Verdict =
  /** `remove`: headers to take out before the message goes on. */
  | { readonly verdict: 'accept'; readonly identity: Identity; readonly remove: readonly string[] }
  | {
      readonly verdict: 'challenge'
      readonly status: 401 | 407
      readonly headers: readonly (readonly [string, string])[]
    }
  /** `reason` goes to log and metrics; the wire carries the status phrase alone. */
  | { readonly verdict: 'reject'; readonly status: number; readonly reason: string }
  | { readonly verdict: 'drop'; readonly reason: string }
  /** `reason`: why the stage has no opinion; it becomes the pipeline's where no stage has one. */
  | { readonly verdict: 'abstain'; readonly reason?: string }

/** One judge. It sees the context and nothing else: no other verdict, no socket. */
export interface Stage {
  readonly name: string
  judge(context: MessageContext): Verdict | Promise<Verdict>
}

/** The pipeline's last word, and the stage it came from. */
export type Decision = Exclude<Verdict, { verdict: 'abstain' }> & { readonly stage: string }

/** Stages in order: the first that does not abstain decides. */
export interface Pipeline {
  /** A promise only where a stage gave one. Never rejects, never throws. */
  decide(context: MessageContext): Decision | Promise<Decision>
}
