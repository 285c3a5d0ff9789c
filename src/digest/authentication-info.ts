/**
 * Authentication-Info: how a server proves that it knows the password, too (RFC 7616 §3.5).
 * @module
 */
import type { KeyObject } from 'node:crypto'
import type { Qop } from './algorithm.ts'
import type { DigestCredentials } from './credentials.ts'
import { formatAuth, type AuthParamInput } from './header.ts'
import { computeRspauth } from './response.ts'

/** What Authentication-Info says. */
export interface AuthenticationInfo {
  /** Made by `computeRspauth`. */
  readonly rspauth: string
  readonly qop: Qop
  /** As in the credentials. */
  readonly nc: string
  readonly cnonce: string
  /** The nonce to use from now on. */
  readonly nextnonce?: string | undefined
}

/** The value of Authentication-Info, or Proxy-Authentication-Info, of a 2xx. */
export function formatAuthenticationInfo(info: AuthenticationInfo): string {
  const params: AuthParamInput[] = [
    ['qop', info.qop, 'bare'],
    ['rspauth', info.rspauth, 'quoted'],
    // Escapes in it were kept when it was read.
    ['cnonce', info.cnonce.replace(/\\([^])/g, '$1'), 'quoted'],
    ['nc', info.nc, 'bare'],
  ]
  if (info.nextnonce !== undefined) params.unshift(['nextnonce', info.nextnonce, 'quoted'])
  // The header names no scheme.
  return formatAuth('', params).trimStart()
}

/**
 * The value of Authentication-Info for credentials that were accepted; undefined without qop.
 * @param body the response's, which counts with `auth-int`
 */
export function authenticationInfoFor(
  { counted, nonce, spec, uri }: DigestCredentials,
  key: KeyObject,
  body: Uint8Array | undefined,
  nextnonce: string | undefined,
): string | undefined {
  if (counted === undefined) return undefined
  const ha1 = key.export()
  const rspauth = computeRspauth({ algorithm: spec.name, ha1, uri, nonce, ...counted, body })
  ha1.fill(0)
  return formatAuthenticationInfo({ rspauth, ...counted, nextnonce })
}

/** The value of Authentication-Info where nobody here has the password: the next nonce, if there is one. */
export function nextNonceInfo(nextnonce: string | undefined): string | undefined {
  return nextnonce === undefined
    ? undefined
    : formatAuth('', [['nextnonce', nextnonce, 'quoted']]).trimStart()
}
