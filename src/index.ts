/**
 * auth-xkeys: shared-key authentication between SIP systems.
 * @module
 */
export { ConfigError, type ErrorCode, type Issue } from './errors.ts'
export { editHeaders, type HeaderEdits } from './message/edit.ts'
export type { LineEdit } from './message/line-edit.ts'
export { parseMessage } from './message/parse.ts'
export type {
  Endpoint,
  MessageContext,
  ParseFailure,
  ParseResult,
  SipMessage,
  Tolerance,
  Transport,
} from './message/types.ts'
export { compileTemplate, type ExpandResult, type Template, type WhenMissing } from './template/compile.ts'
export { generateSecret } from './keyring/generate.ts'
export type { Key, KeyInput } from './keyring/key.ts'
export { createKey } from './keyring/key.ts'
export {
  createKeyring,
  type Keyring,
  type KeyListing,
  type KeyRef,
  type KeyringOptions,
  type KeyringSource,
} from './keyring/keyring.ts'
export { lintKeyring, type KeyringLintIssue } from './keyring/lint.ts'
export { exportModparams, importModparams } from './keyring/modparam.ts'
export { parseKeyring, type ParseKeyringOptions, type SecretReference } from './keyring/parse-toml.ts'
export {
  createKek,
  isSealed,
  kekSourceOf,
  resealKeyring,
  sealKeyring,
  unsealKeyring,
  type Kek,
  type KekSource,
  type SealOptions,
} from './keyring/seal.ts'
export type { KeyState } from './keyring/state.ts'
export { defineAgreement, type Agreement, type AgreementInput, type Sides } from './xkeys/agreement.ts'
export type { XkeyAlgorithm } from './xkeys/algorithm.ts'
export type { KeyOptions } from './xkeys/selection.ts'
export { createSigner, type Signer, type SignFailure, type SignResult } from './xkeys/sign.ts'
export {
  createVerifier,
  VERIFY_FAILURES,
  type Verifier,
  type VerifyFailure,
  type VerifyResult,
} from './xkeys/verify.ts'
export { authenticate, type AuthenticateResult } from './pipeline/authenticate.ts'
export { createPipeline } from './pipeline/pipeline.ts'
export type { Decision, HeaderLines, Identity, Pipeline, Stage, Verdict } from './pipeline/stage.ts'
export { verifyPeer, type VerifyPeerOptions } from './pipeline/verify-peer.ts'
export type { DigestAlgorithm, HashAlgorithm, Qop } from './digest/algorithm.ts'
export type { CredentialHook, HookDecision, HookQuery } from './digest/credential-hook.ts'
export type { Account, AccountFacts, CredentialQuery, CredentialStore } from './digest/credential-store.ts'
export { createFailures, type FailureOptions, type Failures } from './digest/failures.ts'
export type { IdentityField } from './digest/identity.ts'
export {
  createNonces,
  type NonceBinding,
  type NonceOptions,
  type Nonces,
  type NonceScope,
} from './digest/nonce.ts'
export { lintOffers, type DeviceQuirk, type Offer, type OfferOptions } from './digest/offer.ts'
export { ownCredentials, type OwnLine } from './digest/own-credentials.ts'
export type { RealmRule } from './digest/realm.ts'
export { computeHa1 } from './digest/response.ts'
export { SCANNERS } from './digest/scanners.ts'
export { createSteadyClock } from './digest/steady-clock.ts'
export { parseFlexisipCredentials, type FlexisipOptions } from './digest/flexisip-credentials.ts'
export { parseCredentials } from './digest/toml-credentials.ts'
export type { UserEvent, UserReason } from './digest/user-event.ts'
export type { ClaimResult, Claims } from './pipeline/claim.ts'
export { verifyUser, type VerifyUserOptions } from './pipeline/verify-user.ts'
