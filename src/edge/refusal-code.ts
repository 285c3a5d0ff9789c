/**
 * Why a node does not use a keyring, in a word that other nodes and operators are told. The log has the whole of it.
 * @module
 */
import type { Issue } from '../errors.ts'

/**
 * `older`: a revision below the one in force. `revoked-key`: a key that was revoked here would count again. `kek`: no
 * key-encryption key opens it. `seal`: it is not sealed, or was changed by hand. `group-missing`: a group that a trunk
 * uses is not in it. `keyring-invalid`: anything else; weak secrets are among it.
 */
export type RefusalCode = 'older' | 'revoked-key' | 'kek' | 'seal' | 'group-missing' | 'keyring-invalid'

/** The word for the first issue that has one. */
export function refusalCode(issues: readonly Issue[]): RefusalCode {
  for (const { path } of issues) {
    if (path === 'seal.revision') return 'older'
    if (path === 'seal.kek') return 'kek'
    if (path.startsWith('seal') || path.endsWith('.sealed')) return 'seal'
    if (path.startsWith('trunks.')) return 'group-missing'
    // A key by its name: of what stands in the text the place is told.
    if (/\.keys\.(?:[\w-]+|"(?:[^"\\]|\\.)*")$/.test(path)) return 'revoked-key'
  }
  return 'keyring-invalid'
}
