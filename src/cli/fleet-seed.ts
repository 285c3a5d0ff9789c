/**
 * `xkeys fleet seed`: a sealed keyring into a store that has none.
 * @module
 */
import type { Command } from 'commander'
import { ConfigError } from '../errors.ts'
import { highestRevision, keyringFingerprint, type FoundHeartbeats } from '../keyring/fleet.ts'
import type { StoredKeyring } from '../keyring/keyring-store.ts'
import { isSealed, sealKeyring } from '../keyring/seal.ts'
import { auditLine } from '../stores/audit-file.ts'
import { isTable, parseToml } from '../toml.ts'
import { acknowledge, addWaitOption, type WaitOptions } from './acknowledge.ts'
import { RefusedError, UsageError } from './exit.ts'
import { withFleet } from './fleet-target.ts'
import { print, printJson, readInput } from './io.ts'
import type { SharedTarget } from './keyring-change-shared.ts'
import { addTargetOptions, openKeyring, type TargetOptions } from './keyring-target.ts'
import { asking } from './shared-store.ts'

type SeedOptions = TargetOptions & WaitOptions & { readonly force?: true; readonly json?: true }

/** Adds the command. */
export function addFleetSeedCommand(fleet: Command): void {
  const command = fleet
    .command('seed')
    .summary('put a sealed keyring into an empty store')
    .description(
      'Puts a sealed keyring into a store that has none: at first, and after the store was lost. One that has a keyring is left alone. Exit 1 where a node has a later keyring in force than the one given.',
    )
    .argument('<file>', 'the sealed keyring; - is standard input')
    .option('--force', 'even where a node has a later one: this one is sealed anew, above it')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys fleet seed sealed.toml --config fleet.toml')
  addWaitOption(addTargetOptions(command)).action((file: string, options: SeedOptions) =>
    withFleet(options, (target) => seed(target, file, options)),
  )
}

async function seed(target: SharedTarget, file: string, options: SeedOptions): Promise<void> {
  const { store } = target
  const text = readInput(file).toString('utf8')
  if (!isSealed(text)) {
    const message = 'it is not sealed, and only sealed text leaves this machine: xkeys seal does that'
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path: file, message }])
  }
  if (target.kek === undefined)
    throw new UsageError('give the key-encryption key: --kek, XKEYS_KEK, or --config with a table [kek]')
  const given = storedOf(target, text)
  const before = await asking(store, store.read())
  const isThere = before !== 'empty' && before.text === text
  if (before !== 'empty' && !isThere) {
    throw new RefusedError(
      `${store.place}: there is a keyring, revision ${before.revision}: xkeys key and xkeys rotate change it`,
    )
  }
  const after = isThere ? given : aboveNodes(target, given, await asking(store, store.heartbeats()), options)
  if (!isThere) {
    const { name, revision } = openKeyring(target, after.text).keyring
    const forced = after.text === text ? {} : { forced: `sealed anew, was revision ${given.revision}` }
    const audit = auditLine({ command: 'fleet seed', keyring: name, revision, ...forced })
    if ((await asking(store, store.replace({ before: 'empty', after, audit }))) === 'conflict')
      throw new RefusedError(`${store.place}: somebody else has put a keyring there at the same time`)
  }
  const { name = '', revision = 0 } = openKeyring(target, after.text).keyring
  if (!options.json) {
    const what = isThere ? 'is there already' : 'is stored'
    print(`${JSON.stringify(name)}, revision ${revision}, ${what}: ${store.place}`)
  }
  const acknowledgement = await acknowledge(target, after.text, options)
  if (options.json) printJson({ keyring: name, revision, place: store.place, acknowledgement })
}

function storedOf(target: SharedTarget, text: string): StoredKeyring {
  return { text, revision: openKeyring(target, text).keyring.revision ?? 0 }
}

/** The keyring as it may be stored: what nodes have in force must not be later, or they would refuse it. */
function aboveNodes(
  target: SharedTarget,
  given: StoredKeyring,
  found: FoundHeartbeats,
  { force }: SeedOptions,
): StoredKeyring {
  const highest = highestRevision(found)
  if (given.revision > highest) return given
  const fingerprint = keyringFingerprint(openKeyring(target, given.text).keyring)
  const holders = Array.from(found).filter(
    ([, beat]) => beat !== 'damaged' && beat.report.revision === highest,
  )
  const isTheirs = holders.every(([, beat]) => beat !== 'damaged' && beat.keyring === fingerprint)
  if (given.revision === highest && isTheirs) return given
  if (force === undefined) {
    const [[node] = ['a node']] = holders
    throw new RefusedError(
      `${node} has revision ${highest} in force, and this is ${given.revision === highest ? 'another keyring of that revision' : `revision ${given.revision}`}: seed its local copy, ${node}.keyring.toml in its state directory, or see what --force does`,
    )
  }
  const kek = target.kek?.find(kekIdOf(given.text))
  if (kek === undefined) throw new RefusedError('its key-encryption key is not at hand')
  return storedOf(target, sealKeyring(given.text, { kek, open: target.kek, revision: highest + 1 }))
}

/** The id of the KEK that a text was sealed with. */
function kekIdOf(text: string): string {
  const document = parseToml(text)
  const seal = document.ok ? document.value['seal'] : undefined
  return isTable(seal) && typeof seal['kek'] === 'string' ? seal['kek'] : ''
}
