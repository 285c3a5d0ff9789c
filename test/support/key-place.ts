import { chmodSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { folderWith } from './folder.ts'
import { SECRETS } from './signed-messages.ts'
import { xkeys, type Outcome } from './xkeys.ts'

/** A keyring with a key that has ended, one that signs, and remarks. */
export const KEYS = `# first remark
[[groups.gw.keys]]
name = "old"      # second remark
value = "${SECRETS.old}"
expires = 2020-01-01T00:00:00Z

# third remark
[[groups.gw.keys]]
name = "k1"
value = "${SECRETS.new}"
`

/** Tests that run many commands: each takes most of a second where the machine is busy. */
export const MANY = { timeout: 90_000 }

/** A folder with a keyring, mode 0600, and `xkeys key` run there. */
export function place(text = KEYS) {
  const folder = folderWith({ 'k.toml': text })
  const path = join(folder, 'k.toml')
  const run = (command: string, env: Record<string, string> = {}): Promise<Outcome> =>
    xkeys(['key', ...command.split(' ')], { cwd: folder, env })
  chmodSync(path, 0o600)
  return {
    folder,
    path,
    run,
    text: () => readFileSync(path, 'utf8'),
    names: () => readdirSync(folder).toSorted(),
    keys: () => namesIn(readFileSync(path, 'utf8')),
    audit: () =>
      readFileSync(`${path}.audit`, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}

function namesIn(toml: string): readonly string[] {
  const ring = parseKeyring(toml, { maxKeysPerGroup: 100, resolve: () => Uint8Array.of(1) })
  return ring.groups.flatMap((group) => ring.keys(group).map(({ name }) => name))
}
