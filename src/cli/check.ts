/**
 * `xkeys check`: validate a configuration and say in words what it means.
 * @module
 */
import type { Command } from 'commander'
import { loadConfig } from '../edge/service.ts'
import type { TrunkConfig } from '../edge/config.ts'
import type { Keyring } from '../keyring/keyring.ts'
import type { Endpoint } from '../message/types.ts'
import type { SourceRange } from '../pipeline/source.ts'
import { print } from './io.ts'

/** Adds the command. */
export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .summary('validate an edge configuration')
    .description(
      'Reads the configuration and its keyring, reports every issue at once, and explains each trunk in words.',
    )
    .requiredOption('--config <edge.toml>', 'the configuration')
    .addHelpText('after', '\nExample:\n  xkeys check --config edge.toml')
    .action(({ config: path }: { config: string }) => {
      const now = new Date()
      const { config, keyring, warnings } = loadConfig(path, process.env, now)
      for (const { path: where, message } of warnings)
        process.stderr.write(`xkeys: warning: ${where}: ${message}\n`)
      print(`${path}: valid`)
      print(
        `Trunks reach the edge at ${text(config.listen.trunk)}; the upstream ${text(config.upstream.target)} reaches it at ${text(config.listen.upstream)}.`,
      )
      for (const trunk of config.trunks) for (const line of explain(trunk, keyring, now)) print(line)
    })
}

function text({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function rangeText({ address, port, prefix }: SourceRange): string {
  if (port !== undefined) return text({ address, port })
  return prefix === (address.includes(':') ? 128 : 32) ? address : `${address}/${prefix}`
}

function explain(
  { name, sources, target, agreement, domains }: TrunkConfig,
  keyring: Keyring,
  now: Date,
): string[] {
  const { group, header, request, response } = agreement
  const active = keyring.activeKey(group, now)
  const others = keyring.verificationKeys(group, now).filter((key) => key !== active)
  const names = others.map((key) => key.name).join(', ')
  const policy = {
    required: 'must carry one',
    'if-present': 'may carry one, which must be right',
    off: 'carry none',
  }[response === undefined ? 'off' : agreement.responses]
  return [
    `Trunk ${name}:`,
    `  from ${sources.map(rangeText).join(', ')}; requests for it go to ${text(target)}${domains.length > 0 ? ` (also for ${domains.join(', ')})` : ''}`,
    `  tokens: header ${header}, ${agreement.algorithm}, group ${group}`,
    active === undefined
      ? `  signs with: nothing, no key is active; what should be signed is answered 500`
      : `  signs with ${active.name}${active.expires === undefined ? '' : `, until ${active.expires.toISOString()}`}`,
    `  accepts ${[...(active ? [active.name] : []), ...(others.length > 0 ? [names] : [])].join(', ') || 'no key: everything is refused'}`,
    ...(request === undefined
      ? ['  requests carry no token and are refused']
      : [
          `  requests from it must carry a token over ${request.receiver.source}; to it they are signed over ${request.sender.source}`,
        ]),
    `  responses from it ${policy}${response === undefined ? '' : `, over ${response.receiver.source}; to it they are signed over ${response.sender.source}`}`,
    ...(agreement.spec.family === 'sha'
      ? [
          '  note: a sha form is a prefix hash for Kamailio peers; hmac is stronger where the peer can compute it',
        ]
      : []),
  ]
}
