/**
 * The npm package `sip`, loaded where sockets and timers are allowed: its transaction layer runs timers, and the module
 * itself brings sockets. It has no types; `adapters/sip-package.ts` says what it holds.
 * @module
 */
import { createRequire } from 'node:module'

/** The package's exports. Nothing of it opens a socket before it is called. */
export const SIP_PACKAGE: unknown = createRequire(import.meta.url)('sip')
