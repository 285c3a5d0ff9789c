/**
 * The six algorithms, in two families that are never aliased: Kamailio's released prefix hash and RFC 2104 HMAC.
 * @module
 */
import { createHash, hash } from 'node:crypto'

/** `sha*`: `SHA(secret ":" data)` as Kamailio's auth_xkeys computes it. `hmac-sha*`: RFC 2104 HMAC(secret, data). */
export type XkeyAlgorithm = 'sha256' | 'sha384' | 'sha512' | 'hmac-sha256' | 'hmac-sha384' | 'hmac-sha512'

/** What an algorithm is made of. */
export interface AlgorithmSpec {
  readonly name: XkeyAlgorithm
  readonly family: 'sha' | 'hmac'
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  /** Digest length, bytes. */
  readonly size: number
  /** Block length of the hash, bytes (RFC 2104 `B`). */
  readonly block: number
}

function specs(hash: 'sha256' | 'sha384' | 'sha512', size: number, block: number): AlgorithmSpec[] {
  const shape = { hash, size, block }
  return [
    { name: hash, family: 'sha', ...shape },
    { name: `hmac-${hash}`, family: 'hmac', ...shape },
  ]
}

/** All six, by name. */
export const ALGORITHMS: ReadonlyMap<string, AlgorithmSpec> = new Map(
  [...specs('sha256', 32, 64), ...specs('sha384', 48, 128), ...specs('sha512', 64, 128)].map((spec) => [
    spec.name,
    spec,
  ]),
)

/** Data begins here in a work buffer: room before it for the widest HMAC block. */
export const DATA_START = 128

/** How a digest is written: `binary` is one latin1 character a byte. */
export type DigestEncoding = 'hex' | 'base64url' | 'binary'

/**
 * One digest of the data that lies at DATA_START of `work`. The secret's part is laid before the data, so that both
 * are hashed in one piece.
 */
export interface KeyedHash {
  (work: WorkBuffer, dataEnd: number, encoding: DigestEncoding): string
  /** Forgets the secret. It hashes nothing that anybody would accept from then on. */
  readonly forget: () => void
}

/** A buffer that templates expand into, and views of it by their end: making one costs as much as a short hash. */
export interface WorkBuffer {
  readonly bytes: Buffer
  readonly from0: (Buffer | undefined)[]
  readonly from64: (Buffer | undefined)[]
  /** Whose pad lies before the data now: it need not be laid there again. */
  pad: Buffer | undefined
}

/** Work buffer for data of up to `maxData` bytes. */
export function createWorkBuffer(maxData: number): WorkBuffer {
  return { bytes: Buffer.alloc(DATA_START + maxData), from0: [], from64: [], pad: undefined }
}

/** Removes what the last secret left before the data. */
export function wipe(work: WorkBuffer): void {
  work.bytes.fill(0, 0, DATA_START)
  work.pad = undefined
}

/** Binds a secret to an algorithm. */
export function keyedHash(spec: AlgorithmSpec, secret: Buffer): KeyedHash {
  return spec.family === 'hmac' ? hmac(spec, secret) : prefixHash(spec, secret)
}

/** RFC 2104 §2 with the pads computed once; two one-shot hashes beat a streaming HMAC (see bench/). */
function hmac({ hash: name, block, size }: AlgorithmSpec, secret: Buffer): KeyedHash {
  const key = secret.length > block ? createHash(name).update(secret).digest() : secret
  const inner = Buffer.alloc(block, 0x36)
  const outer = Buffer.alloc(block + size, 0x5c)
  for (let i = 0; i < key.length; i++) {
    inner[i] = key[i]! ^ 0x36
    outer[i] = key[i]! ^ 0x5c
  }
  if (key !== secret) key.fill(0)
  const start = DATA_START - block
  const digest = (work: WorkBuffer, dataEnd: number, encoding: DigestEncoding): string => {
    const { bytes } = work
    if (work.pad !== inner) {
      bytes.set(inner, start)
      work.pad = inner
    }
    const views = start === 0 ? work.from0 : work.from64
    const view = (views[dataEnd] ??= bytes.subarray(start, dataEnd))
    const first = hash(name, view, 'binary')
    for (let i = 0; i < size; i++) outer[block + i] = first.charCodeAt(i)
    return hash(name, outer, encoding)
  }
  return Object.assign(digest, {
    forget: () => {
      inner.fill(0)
      outer.fill(0)
    },
  })
}

/** `SHA(secret ":" data)`: auth_xkeys.c of every release to 6.1. A prefix hash: extendable by length, hence no NUL. */
function prefixHash({ hash: name }: AlgorithmSpec, secret: Buffer): KeyedHash {
  const prefix = Buffer.concat([secret, Buffer.from(':')])
  const start = DATA_START - prefix.length
  const digest = (work: WorkBuffer, dataEnd: number, encoding: DigestEncoding): string => {
    if (start < 0) {
      const data = work.bytes.subarray(DATA_START, dataEnd)
      return createHash(name).update(prefix).update(data).digest(encoding)
    }
    prefix.copy(work.bytes, start)
    return hash(name, work.bytes.subarray(start, dataEnd), encoding)
  }
  return Object.assign(digest, { forget: () => void prefix.fill(0) })
}
