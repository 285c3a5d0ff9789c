/**
 * `auth-xkeys/credentials`: accounts in databases and behind HTTP, for the stage `verifyUser`.
 * @module
 */
export {
  createCredentialCache,
  type CredentialCache,
  type CredentialCacheCounts,
  type CredentialCacheOptions,
} from './credential-cache.ts'
export type { HttpClientOptions } from './http-client.ts'
export { HttpError, type HttpFault } from './http-error.ts'
export { createHttpHook, type FindHookTarget, type HttpHook, type HttpHookOptions } from './http-hook.ts'
export type { HookTarget, ReadHookTarget } from './http-hook-target.ts'
export { createHttpPasswords, type HttpPasswordOptions, type HttpPasswords } from './http-password.ts'
export { CacheError } from './lookup-cache.ts'
export { openSqlCredentials, type SqlAccountsOptions, type SqlCredentials } from './sql-credentials.ts'
