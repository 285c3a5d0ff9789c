import { expect, it } from 'vitest'
import {
  CASES,
  RULES,
  deployFile,
  deployPath,
  panelExpressions,
  readDashboard,
  readRules,
  withoutVariables,
} from '../support/deploy-files.ts'
import { describeWith, runProgram } from '../support/deploy-programs.ts'
import { folderWith } from '../support/folder.ts'

const rules = deployFile(RULES)

describeWith('promtool', ['promtool'], () => {
  it('finds all rules, and no fault in them', async () => {
    expect(await runProgram('promtool', ['check', 'rules', deployPath(RULES)])).toEqual({
      exit: 0,
      output: expect.stringContaining(`SUCCESS: ${readRules(rules).length} rules found`),
    })
  })

  it('sees each alert fire and not fire as its cases say', async () => {
    expect(await runProgram('promtool', ['test', 'rules', deployPath(CASES)])).toEqual({
      exit: 0,
      output: expect.stringContaining('SUCCESS'),
    })
  })

  it('understands every expression of the dashboard', async () => {
    const all = [
      ...panelExpressions().map(({ expr }) => expr),
      ...readDashboard().annotations.list.map(({ expr }) => withoutVariables(expr)),
    ]
    const lines = all.map((expr, i) => `  - record: panel:query:${i}\n    expr: ${JSON.stringify(expr)}\n`)
    const folder = folderWith({ 'dashboard.yml': `groups:\n- name: dashboard\n  rules:\n${lines.join('')}` })
    expect(await runProgram('promtool', ['check', 'rules', 'dashboard.yml'], folder)).toEqual({
      exit: 0,
      output: expect.stringContaining(`SUCCESS: ${all.length} rules found`),
    })
  })

  it('understands the configuration in the README', async () => {
    const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(deployFile('README.md')) ?? []
    const folder = folderWith({ 'prometheus.yml': yaml, 'xkeys-alerts.yml': rules })
    expect(await runProgram('promtool', ['check', 'config', 'prometheus.yml'], folder)).toEqual({
      exit: 0,
      output: expect.stringContaining('SUCCESS: 1 rule files found'),
    })
  })
})

/** The cases that look at a rule, and no others: all of them take a second. */
function casesOf(rule: string): string {
  const [head = '', ...cases] = deployFile(CASES).split(/^(?= {2}- name: )/m)
  return head + cases.filter((text) => text.includes(rule)).join('')
}

/** Changes of the rules, each of which the cases must notice. */
const MUTANTS: readonly (readonly [alert: string, from: string, to: string])[] = [
  ...readRules(rules)
    .filter(({ kind }) => kind === 'alert')
    .map(
      ({ name, expr }) =>
        [name, expr, expr.includes('\n') ? '          vector(0) > 1\n' : 'vector(0) > 1'] as const,
    ),
  ['xkeys:verify_reject_ratio:rate5m', 'outcome="reject"', 'outcome="accept"'],
  ['xkeys:verify_reject_ratio:rate5m', '[5m])) > 0', '[5m]))'],
  ['XkeysSigningKeyExpiresSoon', '7 * 86400', '9 * 86400'],
  ['XkeysSigningKeyExpiresSoon', 'state="active"', 'state=~".+"'],
  ['XkeysSigningKeyExpiresSoon', 'state="pending"', 'state="expired"'],
  ['XkeysSigningKeyExpiresSoon', '< min by (group) (xkeys', '> min by (group) (xkeys'],
  ['XkeysSigningKeyExpiresSoon', 'for: 5m', 'for: 0m'],
  ['XkeysNoUsableSigningKey', ' or absent(xkeys_group_signable)', ''],
  ['XkeysNoUsableSigningKey', ' == 0', ''],
  ['XkeysOldKeyStillInUseNearRetirement', '< 86400', '< 864000'],
  ['XkeysOldKeyStillInUseNearRetirement', '[1h])) > 0', '[1h])) >= 0'],
  ['XkeysOldKeyStillInUseNearRetirement', '[1h]', '[6h]'],
  ['XkeysOldKeyStillInUseNearRetirement', 'overlapping', 'active'],
  ['XkeysKeySkewAcrossNodes', '> 1', '> 0'],
  ['XkeysKeySkewAcrossNodes', 'for: 10m', 'for: 1m'],
  ['XkeysPeerRejectRatioHigh', '0.05', '0.01'],
  ['XkeysPeerRejectRatioHigh', '0.05', '0.2'],
  ['XkeysSignFailures', 'outcome="error"', 'outcome="ok"'],
  ['XkeysSignFailures', '> 0', '>= 0'],
  ['XkeysPeerSilent', '> 100', '> 10'],
  ['XkeysPeerSilent', '[30m])) == 0', '[10m])) == 0'],
  ['XkeysPeerSilent', ' == 0', ' >= 0'],
  ['XkeysUnknownSources', '{reason="source-unknown"}', ''],
  ['XkeysUnknownSources', '> 1', '> 0.1'],
  ['XkeysUnknownSources', 'for: 10m', 'for: 1m'],
  ['XkeysReceiveBufferDrops', '> 0', '>= 0'],
  ['XkeysFloodSuppressed', '> 0', '>= 0'],
  ['XkeysFloodSuppressed', 'for: 10m', 'for: 1m'],
  ['XkeysInviteTableFull', '18000', '16000'],
  ['XkeysInviteTableFull', 'for: 5m', 'for: 0m'],
  ['XkeysDigestBruteForce', '{reason=~"password-wrong|user-unknown|ha1-missing|hook-refused"}', ''],
  ['XkeysDigestBruteForce', 'user-unknown|', ''],
  ['XkeysDigestBruteForce', '> 5', '> 3'],
  ['XkeysDigestBruteForce', 'for: 5m', 'for: 0m'],
  ['XkeysDigestStoreDown', ' == 0', ''],
  ['XkeysDigestStoreDown', 'for: 1m', 'for: 0m'],
  ['XkeysDigestOverload', '> 0', '>= 0'],
  ['XkeysDigestOverload', 'for: 5m', 'for: 0m'],
  ['XkeysClaimsNearlyFull', '> 0.9', '> 0.8'],
  ['XkeysClaimsNearlyFull', 'for: 5m', 'for: 0m'],
]

describeWith('the cases of the alerts', ['promtool'], () => {
  it.each(MUTANTS.map(([rule, from, to]) => ({ rule, from, to, title: `${from.trim()} → ${to.trim()}` })))(
    'notice a change of $rule: $title',
    async ({ rule, from, to }) => {
      const { text } = readRules(rules).find(({ name }) => name === rule)!
      const changed = text.replaceAll(from, to)
      expect(changed).not.toBe(text)
      const folder = folderWith({
        'xkeys-alerts.yml': rules.replace(text, () => changed),
        'xkeys-alerts.test.yml': casesOf(rule),
      })
      // `exp:` and what came instead: a rule that cannot be parsed fails too, and proves nothing.
      expect(await runProgram('promtool', ['test', 'rules', 'xkeys-alerts.test.yml'], folder)).toEqual({
        exit: 1,
        output: expect.stringMatching(/^\s+exp:/m),
      })
    },
  )
})
