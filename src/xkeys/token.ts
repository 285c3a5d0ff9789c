/**
 * The forms of a token: hex and unpadded base64url.
 * @module
 */
import type { AlgorithmSpec } from './algorithm.ts'

const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32

/** Longest digest, bytes. */
const LONGEST = 64

/** Value of a hex digit in either case, 255 for every other byte. */
const HEX = new Uint8Array(256).fill(255)
/** Value of a base64url character, 255 for every other byte. */
const BASE64URL = new Uint8Array(256).fill(255)
for (const [value, char] of [...'0123456789abcdef'].entries()) {
  HEX[char.charCodeAt(0)] = value
  HEX[char.toUpperCase().charCodeAt(0)] = value
}
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
for (const [value, char] of [...ALPHABET].entries()) BASE64URL[char.charCodeAt(0)] = value

/** A digest taken from a message, overwritten by the next one. */
export type TokenScratch = Uint8Array

/** Room for one decoded token. */
export function createTokenScratch(): TokenScratch {
  return new Uint8Array(LONGEST)
}

function isTrimmed(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB || byte === CR || byte === LF
}

/**
 * Decodes the token in bytes[start, end) into `out`: white space and folds around it trimmed as Kamailio does, hex of
 * either case, or canonical base64url for the hmac forms; exact length. False where it is none of them.
 */
export function decodeToken(
  bytes: Uint8Array,
  start: number,
  end: number,
  spec: AlgorithmSpec,
  out: TokenScratch,
): boolean {
  let from = start
  let to = end
  while (from < to && isTrimmed(bytes[from])) from++
  while (to > from && isTrimmed(bytes[to - 1])) to--
  if (to - from === spec.size * 2) return decodeHex(bytes, from, spec.size, out)
  return spec.family === 'hmac' && to - from === Math.ceil((spec.size * 4) / 3)
    ? decodeBase64url(bytes, from, to, out)
    : false
}

function decodeHex(bytes: Uint8Array, start: number, size: number, out: TokenScratch): boolean {
  let illegal = 0
  for (let i = 0, at = start; i < size; i++, at += 2) {
    const high = HEX[bytes[at]!]!
    const low = HEX[bytes[at + 1]!]!
    illegal |= high | low
    out[i] = (high << 4) | low
  }
  return illegal < 16
}

function decodeBase64url(bytes: Uint8Array, start: number, end: number, out: TokenScratch): boolean {
  let bits = 0
  let held = 0
  let at = 0
  for (let i = start; i < end; i++) {
    const value = BASE64URL[bytes[i]!]!
    if (value === 255) return false
    held = ((held << 6) | value) & 0xfff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      out[at++] = (held >> bits) & 0xff
    }
  }
  // Canonical: the bits that belong to no byte are zero.
  return (held & ((1 << bits) - 1)) === 0
}

/** Compares a digest (latin1 text) with a decoded token, in a time that depends on the length alone. */
export function equalToken(digest: string, token: TokenScratch, size: number): boolean {
  let difference = 0
  for (let i = 0; i < size; i++) difference |= digest.charCodeAt(i) ^ token[i]!
  return difference === 0
}
