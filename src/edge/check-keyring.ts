/**
 * Whether a keyring fits a configuration: asked at the start, and again whenever the keyring changes.
 * @module
 */
import type { Issue } from '../errors.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { lintKeyring } from '../keyring/lint.ts'
import { isLoopback } from './config-address.ts'
import type { EdgeConfig } from './config.ts'

/**
 * What speaks against a keyring: a trunk whose group, or a nonce group, is not in it, and weak or published secrets where `strict_keys` is
 * set or a listener is not loopback. On a running edge a group that a trunk uses cannot be taken away so: nothing of the
 * trunk would verify any more, and a half written file looks just like it. Its keys can be revoked.
 */
export function checkKeyring(config: EdgeConfig, keyring: Keyring): readonly Issue[] {
  const issues: Issue[] = config.trunks
    .filter((trunk) => !keyring.hasGroup(trunk.agreement.group))
    .map((trunk) => ({
      path: `trunks.${trunk.name}.agreement`,
      message: `its group ${JSON.stringify(trunk.agreement.group)} is not in the keyring`,
    }))
  const { users } = config
  if (users !== undefined && !keyring.hasGroup(users.nonces.group))
    issues.push({
      path: 'users.nonce_group',
      message: `the group ${JSON.stringify(users.nonces.group)} is not in the keyring`,
    })
  const open = [config.listen.trunk, config.listen.upstream].some(({ address }) => !isLoopback(address))
  if (config.strictKeys || open) issues.push(...lintKeyring(keyring))
  return issues
}
