import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** A value that Kamailio computed: text, bytes that are no UTF-8, or null. */
export type VectorValue = string | null | { readonly b64: string }

interface VectorMessage {
  readonly id: string
  readonly src_ip: string
  readonly src_port: number
  readonly dst_ip: string
  readonly dst_port: number
  readonly transport: 'udp'
  readonly raw_b64: string
}

export interface MessageVector extends VectorMessage {
  readonly kind: 'request' | 'response'
  readonly accepted: boolean
  readonly values?: Readonly<Record<string, VectorValue>>
  readonly templates?: Readonly<Record<string, string>>
  readonly values_head_diff?: Readonly<Record<string, VectorValue>>
}

export interface SignatureVector extends VectorMessage {
  readonly kind: 'request' | 'response'
  readonly accepted: boolean
  readonly signatures?: readonly {
    readonly header: string
    readonly group: string
    readonly alg: string
    readonly template_id: string
    readonly template: string
    readonly rc: 1 | -1
    readonly line: string | null
    readonly data_b64: string | null
  }[]
  readonly rebuilt_b64?: string
}

export interface CheckVector extends VectorMessage {
  readonly variant: string
  readonly base: string
  readonly header: string
  readonly group: string
  readonly alg: string
  readonly template: string
  readonly expected: 'accept' | 'reject' | 'refused'
}

export interface VectorKeyring {
  readonly xkey_modparams_in_order: readonly string[]
  readonly templates: Readonly<Record<string, string>>
}

const COPY = new URL('../fixtures/vectors/', import.meta.url)

/** The folder of vectors beside the checkout, if there is one. */
const BESIDE = new URL('../../../shared/vectors/', import.meta.url)

export const besideCheckout = existsSync(BESIDE)

export const VECTOR_FILES = [
  'messages.jsonl',
  'signatures.jsonl',
  'checks.jsonl',
  'expressions.json',
  'keyring.json',
] as const
type VectorFile = (typeof VECTOR_FILES)[number]

/** Text of a file in the repository's copy. */
export function readCopy(name: VectorFile): string {
  const packed = name.endsWith('.jsonl')
  const bytes = readFileSync(new URL(packed ? `${name}.gz` : name, COPY))
  return (packed ? gunzipSync(bytes) : bytes).toString('utf8')
}

/** Text of a file beside the checkout. */
export function readBeside(name: VectorFile): string {
  return readFileSync(new URL(name, BESIDE), 'utf8')
}

/** One JSON value a line. */
function readLines(name: VectorFile): readonly unknown[] {
  return readCopy(name)
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line))
}

export const readMessages = () => readLines('messages.jsonl') as readonly MessageVector[]
export const readSignatures = () => readLines('signatures.jsonl') as readonly SignatureVector[]
export const readChecks = () => readLines('checks.jsonl') as readonly CheckVector[]
export const readExpressions = (): readonly string[] => JSON.parse(readCopy('expressions.json'))
export const readVectorKeyring = (): VectorKeyring => JSON.parse(readCopy('keyring.json'))

export const rawOf = (vector: VectorMessage): Buffer => Buffer.from(vector.raw_b64, 'base64')

/** The value as latin1 text, one character a byte; null stays. */
export function latin1Of(value: VectorValue): string | null {
  if (value === null) return null
  return Buffer.from(
    typeof value === 'string' ? value : value.b64,
    typeof value === 'string' ? 'utf8' : 'base64',
  ).toString('latin1')
}
