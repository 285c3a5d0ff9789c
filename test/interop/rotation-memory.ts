/**
 * Looking for secrets: every form that a secret may take, in texts, in the heap of a process, and in its whole memory.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Parts of a secret that are long enough to be no chance: copies may be cut. */
function partsOf(secret: string): readonly Buffer[] {
  const bytes = Buffer.from(secret)
  return [4, 16, 27].map((from) => bytes.subarray(from, from + 20))
}

/** Each part plain, in hex and base64, and XORed as the pads of HMAC are (RFC 2104), as bytes. */
export function formsOf(secret: string): ReadonlyMap<string, readonly Buffer[]> {
  const parts = partsOf(secret)
  const text = (write: (part: Buffer) => string): readonly Buffer[] =>
    parts.map((part) => Buffer.from(write(part), 'latin1'))
  const xor = (mask: number): readonly Buffer[] => parts.map((part) => Buffer.from(part.map((b) => b ^ mask)))
  const base64 = Buffer.from(secret)
  return new Map([
    ['plain', parts],
    ['hex', text((part) => part.toString('hex'))],
    ['HEX', text((part) => part.toString('hex').toUpperCase())],
    // Three alignments: what stands before a secret shifts its base64.
    [
      'base64',
      [0, 1, 2].map((shift) =>
        Buffer.from(
          Buffer.concat([Buffer.alloc(shift), base64])
            .toString('base64')
            .slice(8, 40),
        ),
      ),
    ],
    ['XOR 0x36', xor(0x36)],
    ['XOR 0x5c', xor(0x5c)],
  ])
}

/** Names of the forms in which any of the secrets shows. */
export function shownIn(bytes: Buffer, secrets: readonly string[]): readonly string[] {
  return secrets.flatMap((secret, i) =>
    [...formsOf(secret)].flatMap(([form, parts]) =>
      parts.some((part) => bytes.includes(part)) ? [`secret ${i} ${form}`] : [],
    ),
  )
}

/** Every text in the heap of a process that was started with `--heapsnapshot-signal=SIGUSR2`. */
export async function heapTexts(pid: number, folder: string): Promise<Buffer> {
  process.kill(pid, 'SIGUSR2')
  for (let i = 0; i < 600; i++) {
    await sleep(100)
    const name = readdirSync(folder).find((entry) => entry.endsWith('.heapsnapshot'))
    if (name === undefined) continue
    const file = join(folder, name)
    const text = readFileSync(file, 'utf8')
    if (!text.trimEnd().endsWith(']}')) continue
    rmSync(file)
    const { strings } = JSON.parse(text) as { readonly strings: readonly string[] }
    return Buffer.from(strings.join('\n'), 'latin1')
  }
  throw new Error('there is no heap snapshot')
}

/** Calls `look` with all writable memory of a process, piece by piece; pieces overlap by `overlap` bytes. */
export function eachMemory(pid: number, overlap: number, look: (piece: Buffer) => void): void {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const piece = Buffer.alloc(16 << 20)
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
      const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
      if (start === undefined || end === undefined) continue
      const stop = Number.parseInt(end, 16)
      for (let at = Number.parseInt(start, 16); at < stop; at += piece.length - overlap) {
        try {
          const length = readSync(memory, piece, 0, Math.min(piece.length, stop - at), at)
          look(piece.subarray(0, length))
        } catch {
          // Not every mapping can be read.
        }
        if (stop - at <= piece.length) break
      }
    }
  } finally {
    closeSync(memory)
  }
}
