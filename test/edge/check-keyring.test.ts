import { expect, it } from 'vitest'
import { checkKeyring } from '../../src/edge/check-keyring.ts'
import { parseEdgeConfig, type EdgeConfig } from '../../src/edge/config.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'

const configOf = (trunk: string, upstream: string, top = ''): EdgeConfig =>
  parseEdgeConfig(`keyring = "keys.toml"
${top}
[listen]
trunk = "${trunk}"
upstream = "${upstream}"
[upstream]
target = "192.0.2.99:5060"
[agreements.main]
header = "X-Auth"
group = "GW"
algorithm = "hmac-sha256"
request = "$rm:$ru:$ci"
[trunks.carrier]
sources = ["192.0.2.1"]
target = "192.0.2.1:5060"
agreement = "main"
`)
const weak = parseKeyring('[[groups.gw.keys]]\nname = "k"\nvalue = "short"\n')

it.each([
  ['127.0.0.1:5060', '127.0.0.1:5062', '', 0],
  ['[::1]:5060', '127.9.9.9:5062', '', 0],
  ['127.0.0.1:5060', '127.0.0.1:5062', 'strict_keys = true', 1],
  ['192.0.2.7:5060', '127.0.0.1:5062', '', 1],
  ['127.0.0.1:5060', '192.0.2.7:5062', '', 1],
  ['[2001:db8::7]:5060', '[::1]:5062', '', 1],
])('a weak key behind %s and %s, %s: %i issues', (trunk, upstream, top, issues) => {
  expect(checkKeyring(configOf(trunk, upstream, top), weak)).toHaveLength(issues)
})

it('a group that a trunk lacks is an issue, whatever the case of its letters', () => {
  const config = configOf('127.0.0.1:5060', '127.0.0.1:5062')
  expect(checkKeyring(config, weak)).toEqual([])
  expect(checkKeyring(config, parseKeyring('')).map(({ path, message }) => `${path}: ${message}`)).toEqual([
    'trunks.carrier.agreement: its group "GW" is not in the keyring',
  ])
})
