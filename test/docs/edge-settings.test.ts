import { describe, expect, it } from 'vitest'
import { describeSettings, settingsReference } from '../../src/edge/config-reference.ts'
import { SETTING_FACTS } from '../../src/edge/config-facts.ts'
import { configSchema } from '../../src/edge/config-schema.ts'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { DROP_REASONS } from '../../src/edge/message-counter.ts'
import { leavesOf } from '../../src/edge/settings.ts'
import { VERIFY_FAILURES } from '../../src/xkeys/verify.ts'
import { repositoryFile } from '../support/xkeys.ts'

const page = repositoryFile('docs/edge.md')
const settings = describeSettings()

/** `[trunks.carrier]`, `[[users.quirks]]`. */
const headerOf = (name: string): string => (name.endsWith('[]') ? `[[${name.slice(0, -2)}]]` : `[${name}]`)

/** A configuration made of the examples alone, with the second trunk that `reaches` names. */
function ofExamples(): string {
  const names: Readonly<Record<string, string>> = {
    agreements: 'agreements.carrier',
    trunks: 'trunks.carrier',
  }
  const tables = [...new Set(settings.map(({ table }) => table))]
  const text = tables.map((table) => {
    const name = names[table.split('.')[0]!] ?? table
    const lines = settings
      // It stands there as the table that it may be.
      .filter((setting) => setting.table === table && !(table === '' && setting.name === 'keyring'))
      .map((setting) => `${setting.name} = ${setting.example}`)
    return [...(name === '' ? [] : [headerOf(name)]), ...lines].join('\n')
  })
  const branch = '[trunks.branch]\nsources = ["127.0.0.3"]\ntarget = "127.0.0.3:5060"\nagreement = "carrier"'
  return [...text, branch].join('\n')
}

describe('the settings of the edge', () => {
  it('are all described: none without meaning, example, value and default', () => {
    const bare = leavesOf(configSchema).filter(({ schema }) => !SETTING_FACTS.has(schema))
    expect(bare.map(({ path }) => path.join('.'))).toEqual([])
    for (const setting of settings) {
      for (const text of Object.values({ ...setting, table: '-' })) expect(text).not.toBe('')
      expect(setting.meaning).toMatch(/^[^|\n]+\.$/)
    }
  })

  it('stand in docs/edge.md as the schema has them; tools/edge-settings.mjs writes them', () => {
    const found = /<!-- settings: .* -->\n\n([^]*?)\n\n<!-- \/settings -->/.exec(page)?.[1]
    expect(found).toBe(settingsReference())
  })

  it('have examples that together are a configuration', () => {
    const config = parseEdgeConfig(ofExamples())
    expect(config.trunks.map(({ name }) => name)).toEqual(['carrier', 'branch'])
    expect(config.trunks[0]!.reaches).toEqual(['branch'])
  })

  it('have defaults that the schema uses when they are left out', () => {
    const needed = settings.filter((setting) => setting.default === 'required')
    expect(needed.map(({ table, name }) => `${table}.${name}`)).toEqual([
      '.keyring',
      'keyring.source',
      'listen.trunk',
      'listen.upstream',
      'upstream.target',
      'agreements.NAME.header',
      'agreements.NAME.group',
      'agreements.NAME.algorithm',
      'trunks.NAME.sources',
      'trunks.NAME.target',
      'trunks.NAME.agreement',
      'users.domains',
      'users.nonce_group',
      'users.quirks[].user_agent',
      'users.credentials.source',
      'kek.from',
      'metrics.listen',
    ])
  })

  it('are named nowhere else on the page but by their own names', () => {
    const names = new Set(settings.map(({ name }) => name))
    const toml = Array.from(page.matchAll(/^```toml\n([^]*?)^```/gm), ([, text = '']) => text).join('\n')
    const used = Array.from(toml.matchAll(/^([a-z_]+) = /gm), ([, name = '']) => name)
    expect(used.filter((name) => !names.has(name))).toEqual([])
  })
})

it.each([...VERIFY_FAILURES, ...DROP_REASONS])('%s has its row under Troubleshooting', (reason) => {
  const troubleshooting = page.slice(page.indexOf('## Troubleshooting'))
  expect(troubleshooting).toMatch(new RegExp(`^\\| \`${reason}\` \\| .+ \\| .+ \\|$`, 'm'))
})
