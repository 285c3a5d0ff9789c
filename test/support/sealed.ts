import { createKek, kekSourceOf, sealKeyring, type Kek } from '../../src/keyring/seal.ts'
import { SECRETS } from './signed-messages.ts'

/** Bytes of key-encryption keys, as random as any. */
export const KEK_BYTES = {
  one: Buffer.from('8f1c6a5be0d94733b2f7c81e95a4d06b3d52e9f8a17c40b6d8e31f0592c7ab64', 'hex'),
  two: Buffer.from('41d7f20c9be5638a7e14d9c30fa86b52c7390ed4b81f65a2903ce7d85a1f46be', 'hex'),
} as const

export const KEK: Kek = createKek(KEK_BYTES.one)
export const OTHER_KEK: Kek = createKek(KEK_BYTES.two)

/** Every setting that a key can have, in two groups, with comments in every place. */
export const PLAIN = `# The keyring of the tests.

# Of the carrier.
[[groups.Trunk-A.keys]]           # quoted: no
name = "2026-q3"
value = "${SECRETS.old}"   # to go
active_from = 2026-07-01T00:00:00Z
expires = 2027-01-01T00:00:00Z

[[groups.Trunk-A.keys]]
name = "2026-q4"
  value_hex  =  "${Buffer.from(SECRETS.new).toString('hex')}"
active_from = 2026-10-01T02:00:00+02:00

[[groups."gw 1".keys]]
name = "stolen"
value_base64 = '${Buffer.from(SECRETS.other).toString('base64')}'
revoked = true

[[groups."gw 1".keys]]
name = "first of equals"
value = "xks_aR7mKq2ZtXv9LpWc4YhNs6JdGb1EfUo8ViTyMx3QkZe"

[[groups."gw 1".keys]]
name = "last of equals"
value = "xks_bT5wHn8RzQc3MvXk7JpLd2GsFy9AeVu4NiKoWq6ZtYm"
# The end.
`

/** Every secret of `PLAIN`. */
export const PLAIN_SECRETS: readonly string[] = [
  ...Object.values(SECRETS),
  ...Array.from(PLAIN.matchAll(/"(xks_[^"]+)"/g), ([, secret = '']) => secret),
]

/** `PLAIN`, or another text, sealed as `main`. */
export function sealed(toml: string = PLAIN, kek: Kek = KEK): string {
  return sealKeyring(toml, { kek, keyring: 'main' })
}

/** Opens what `KEK` sealed. */
export const SOURCE = kekSourceOf(KEK)

/** Which secrets or keys a text shows: plain, in hex, in base64, whole or a good part. */
export function shown(text: string): readonly string[] {
  const told = [...PLAIN_SECRETS.map((secret) => Buffer.from(secret)), ...Object.values(KEK_BYTES)]
  return told.flatMap((bytes) => {
    const forms = (['latin1', 'hex', 'base64', 'base64url'] as const).map((form) => bytes.toString(form))
    return forms
      .flatMap((form) => [form, form.slice(4, 24), form.toUpperCase()])
      .filter((form) => text.includes(form))
  })
}
