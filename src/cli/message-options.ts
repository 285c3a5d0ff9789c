/**
 * The options of the commands that look at a message: where it came from, how it is parsed, under which agreement.
 * @module
 */
import { Option, type Command } from 'commander'
import { readSharedKeyring } from '../edge/read-keyring.ts'
import { loadConfig, type LoadedConfig } from '../edge/service.ts'
import { ConfigError } from '../errors.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { parseMessage } from '../message/parse.ts'
import type { Endpoint, MessageContext, Tolerance, Transport } from '../message/types.ts'
import { loadKeyringFile } from '../stores/keyring-file.ts'
import { defineAgreement, type Agreement } from '../xkeys/agreement.ts'
import type { XkeyAlgorithm } from '../xkeys/algorithm.ts'
import { UsageError } from './exit.ts'
import { commandKek } from './keyring-target.ts'
import { dateOption, endpointOption } from './io.ts'

/** Where a message came from, and how it is parsed. */
export interface ContextOptions {
  readonly source?: Endpoint
  readonly local?: Endpoint
  readonly transport: Transport
  readonly tolerance: Tolerance
}

const UNKNOWN: Endpoint = { address: '127.0.0.1', port: 5060 }

/** Adds the options of `ContextOptions`. */
export function addContextOptions(command: Command): Command {
  return command
    .option(
      '--source <address:port>',
      'where the message came from ($si, $sp); 127.0.0.1:5060 where absent',
      endpointOption,
    )
    .option(
      '--local <address:port>',
      'where it arrived, or leaves from ($Ri, $Rp); 127.0.0.1:5060 where absent',
      endpointOption,
    )
    .addOption(
      new Option('--transport <name>', 'how it travelled')
        .choices(['udp', 'tcp', 'tls', 'ws', 'wss'])
        .default('udp'),
    )
    .addOption(
      new Option('--tolerance <name>', 'what the parser forgives')
        .choices(['strict', 'kamailio'])
        .default('strict'),
    )
}

/** Parses an input. A text file edited by hand often ends its lines in LF: then the bytes are not what was sent. */
export function readContext(bytes: Buffer, options: ContextOptions): MessageContext | string {
  const parsed = parseMessage(bytes, { tolerance: options.tolerance })
  if (!parsed.ok) {
    const hint =
      parsed.reason === 'bare-lf' ? '; lines of a SIP message end in CRLF (or use --tolerance kamailio)' : ''
    return `not a message: ${parsed.reason} at byte ${parsed.offset}${hint}`
  }
  const { message } = parsed
  return {
    message,
    transport: options.transport,
    source: options.source ?? UNKNOWN,
    local: options.local ?? UNKNOWN,
  }
}

/** Which agreement and keys. */
export interface AgreementOptions {
  readonly config?: string
  readonly trunk?: string
  readonly keyring?: string
  readonly header: string
  readonly group?: string
  readonly algorithm: string
  readonly encoding?: 'hex' | 'base64url'
  readonly template?: string
  readonly repeated?: 'reject' | 'first'
  readonly now?: Date
}

/** Adds the options of `AgreementOptions`. */
export function addAgreementOptions(command: Command): Command {
  return command
    .option('--config <edge.toml>', 'take keyring and agreement from an edge configuration')
    .option('--trunk <name>', 'which trunk of the configuration; not needed where there is one')
    .option('--keyring <file>', 'keyring in TOML')
    .option('--group <id>', 'key group')
    .option('--header <name>', 'token header', 'X-Auth')
    .option('--algorithm <name>', 'sha256 … sha512 (Kamailio), hmac-sha256 … hmac-sha512', 'hmac-sha256')
    .addOption(new Option('--encoding <name>', 'of an hmac token').choices(['hex', 'base64url']))
    .option('--template <text>', 'what the token covers, e.g. $si:$fu:$ru:$hdr(CSeq)')
    .addOption(new Option('--repeated <what>', 'a repeated token header').choices(['reject', 'first']))
    .option('--now <date>', 'judge keys at this time, e.g. 2026-10-01T00:00:00Z', dateOption)
}

/** The agreement and keyring that the options name. */
export async function readAgreement(
  options: AgreementOptions,
  kind: 'request' | 'response',
): Promise<{ readonly agreement: Agreement; readonly keyring: Keyring }> {
  const now = options.now ?? new Date()
  if (options.config !== undefined) {
    const other = (['keyring', 'group', 'template'] as const).find((name) => options[name] !== undefined)
    if (other !== undefined)
      throw new UsageError(`--config brings its own ${other}; give it or --${other}, not both`)
    const loaded = loadConfig(options.config, process.env, now)
    const { config } = loaded
    const names = config.trunks.map((trunk) => trunk.name)
    const trunk =
      options.trunk === undefined && config.trunks.length === 1
        ? config.trunks[0]
        : config.trunks.find(({ name }) => name === options.trunk)
    if (trunk === undefined) throw new UsageError(`--trunk must be one of: ${names.join(', ')}`)
    return { agreement: trunk.agreement, keyring: await keyringOf(loaded, now) }
  }
  const { keyring, group, template } = options
  if (keyring === undefined || group === undefined || template === undefined) {
    throw new UsageError('give --config, or --keyring with --group and --template')
  }
  const agreement = defineAgreement({
    header: options.header,
    group,
    algorithm: options.algorithm as XkeyAlgorithm,
    [kind]: template,
    ...(options.encoding && { encoding: options.encoding }),
    ...(options.repeated && { repeated: options.repeated }),
  })
  return {
    agreement,
    keyring: loadKeyringFile(keyring, { env: process.env, now, kek: commandKek(undefined) }),
  }
}

async function keyringOf(loaded: LoadedConfig, now: Date): Promise<Keyring> {
  const place = loaded.config.keyring
  if (loaded.keyring !== undefined || typeof place === 'string') return loaded.keyring!
  const { place: path, keyring, why = '' } = await readSharedKeyring(loaded, place, now)
  if (keyring === undefined) throw new ConfigError('ERR_KEYRING_INVALID', [{ path, message: why }])
  return keyring
}
