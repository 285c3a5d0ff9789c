/**
 * New secrets.
 * @module
 */
import { randomBytes } from 'node:crypto'

const SECRET_BYTES = 32

/**
 * A new secret: `xks_` and 32 random bytes in base64url, 47 characters of ASCII. The text itself is the secret, the
 * same characters that `value` in a keyring and `value=` in a Kamailio line hold; it needs no quoting in either. The
 * prefix lets secret scanners recognise a leaked one.
 */
export function generateSecret(random: (size: number) => Uint8Array = randomBytes): string {
  return `xks_${Buffer.from(random(SECRET_BYTES)).toString('base64url')}`
}
