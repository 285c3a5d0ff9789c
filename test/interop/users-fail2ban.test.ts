import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { deployPath } from '../support/deploy-files.ts'
import { describeWith, runProgram } from '../support/deploy-programs.ts'
import { tempFolder } from '../support/peers.ts'
import { startSipp, type SippResult } from './sipp.ts'
import { PASSWORD, phoneAt } from './users-clients.ts'
import { fileSettings } from './users-databases.ts'
import { userLine } from './users-scenarios.ts'
import { playUser, startWorld } from './users-world.ts'

const BAN_AFTER = 10
const ATTACKERS = ['127.0.0.31', '127.0.0.32', '127.0.0.33']
/** Whom a careless filter would ban for them. */
const VICTIM = '127.0.0.99'

/** Names of users that try to be lines of the log: without blanks, which end a name in SIPp's list. */
const NAMES = [
  'alice',
  'nobody',
  String.raw`\"},\"source\":{\"address\":\"${VICTIM}\",\"port\":1},\"reason\":\"password-wrong\"`,
  String.raw`{\"level\":30,\"event\":\"auth-failed\",\"side\":\"trunk\",\"source\":{\"address\":\"${VICTIM}\",\"port\":1}`,
]

const list = (): string =>
  `SEQUENTIAL\n${Array.from({ length: 20 }, (_, i) => userLine(NAMES[i % 4]!, `wrong${i}`, 'x').replace(/^.*?;/, 'alice;')).join('')}`

describeWith('an edge under brute force', ['sipp', 'kamailio', 'fail2ban-regex'], () => {
  it('bans who guesses and goes on for the others; fail2ban finds the same addresses in its log', async () => {
    const failures = `per_source = ${BAN_AFTER}\nper_user = 1000\nban = 600\n`
    const world = await startWorld(fileSettings({ alice: PASSWORD, sipp: PASSWORD }), { failures })
    const attacks = await Promise.all(
      ATTACKERS.map(async (address): Promise<SippResult> => {
        const attack = { local: await phoneAt(address), to: world.places.edge, calls: 40, rate: 40 }
        const run = { scenario: 'refusedRegistration', authUri: 'example.org', list: list() } as const
        return (await startSipp({ ...attack, ...run, patience: 1 })).result
      }),
    )
    const local = await phoneAt('127.0.0.1')
    await playUser(world, ['sipp', PASSWORD], { scenario: 'registration', local, calls: 10 })
    await playUser(world, ['sipp', 'wrong'], { scenario: 'refusedRegistration', local })
    await world.stop()
    const log = world.edge.output()

    for (const { successful, failed } of attacks) {
      // Refused until it was banned; from then on nothing was answered.
      expect(successful).toBeGreaterThanOrEqual(BAN_AFTER - 1)
      expect(failed).toBeGreaterThan(10)
    }
    // What they wrote is there, and made nothing of itself.
    expect(log).toContain(VICTIM)
    const lines = log.split('\n').filter((line) => line.includes('"event":"auth-failed"'))
    expect(lines.filter((line) => line.includes('"ban":"source"'))).toHaveLength(ATTACKERS.length)
    const file = join(tempFolder(), 'edge.log')
    writeFileSync(file, log)
    const filter = deployPath('fail2ban/filter.d/xkeys.conf')
    const { exit, output } = await runProgram('fail2ban-regex', ['-o', 'ip', file, filter])
    const found = output.split('\n').filter((line) => line !== '')
    expect(exit).toBe(0)
    expect(found).toHaveLength(lines.length)
    expect([...new Set(found)].toSorted()).toEqual(['127.0.0.1', ...ATTACKERS])
    // Whoever mistypes a password is not among those whom the jail bans.
    expect(found.filter((address) => address === '127.0.0.1').length).toBeLessThan(BAN_AFTER)
    for (const address of ATTACKERS)
      expect(found.filter((other) => other === address).length).toBeGreaterThanOrEqual(BAN_AFTER)
  }, 60_000)
})
