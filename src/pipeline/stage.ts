/**
 * Stages and their verdicts, the pipeline and its decision.
 * @module
 */
import type { KeyRef } from '../keyring/keyring.ts'
import type { LineEdit } from '../message/line-edit.ts'
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

/** Headers to write, in this order. */
export type HeaderLines = readonly (readonly [name: string, value: string])[]

/** One stage's opinion. */
export type Verdict =
  | {
      readonly verdict: 'accept'
      readonly identity: Identity
      /** Headers to take out before the message goes on, with all their lines. */
      readonly remove: readonly string[]
      /** Lines of which only a part goes: credentials of ours beside those of others. */
      readonly edit?: readonly LineEdit[] | undefined
      /** Headers for the 2xx to the request: Authentication-Info. @param body the response's, which may count */
      readonly answer?: ((body?: Uint8Array) => HeaderLines) | undefined
    }
  | {
      readonly verdict: 'challenge'
      readonly status: 401 | 407
      readonly headers: HeaderLines
      /** For log and metrics, as in a refusal. */
      readonly reason?: string
    }
  | {
      readonly verdict: 'reject'
      readonly status: number
      /** Goes to log and metrics; the wire carries `phrase`. */
      readonly reason: string
      /** More for the response, such as Retry-After. */
      readonly headers?: HeaderLines | undefined
      /** Default: the one of RFC 3261 for the status. */
      readonly phrase?: string | undefined
    }
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
