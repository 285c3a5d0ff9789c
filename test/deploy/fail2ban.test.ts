import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { createEventLog } from '../../src/edge/service.ts'
import { FAILURE_REASONS } from '../../src/edge/user-events.ts'
import { deployFile, deployPath, UNIT } from '../support/deploy-files.ts'
import { describeWith, pathOf } from '../support/deploy-programs.ts'
import { folderWith } from '../support/folder.ts'
import { authenticated, startUsers, type UsersRig } from '../support/users-rig.ts'

const FILTER = 'fail2ban/filter.d/xkeys.conf'
const JAIL = 'fail2ban/jail.d/xkeys.conf'

/** The log of an edge, as it writes it. */
function logOf(rig: UsersRig): string {
  let text = ''
  const log = pino({ level: 'debug', base: null }, { write: (line: string) => void (text += line) })
  const tell = createEventLog(log)
  for (const event of rig.events) tell(event)
  for (const event of rig.decisions) log.debug(event)
  return text
}

/** Addresses that fail2ban finds in a log, one a line that matches. */
function found(log: string, ...options: readonly string[]): readonly string[] {
  const folder = folderWith({ 'edge.log': log })
  const output = execFileSync(
    pathOf('fail2ban-regex'),
    [...options, '-o', 'ip', join(folder, 'edge.log'), deployPath(FILTER)],
    { encoding: 'utf8', timeout: 20_000 },
  )
  return output.split('\n').filter((line) => line !== '')
}

/** A line of the log. */
const line = (address: string) =>
  `{"level":30,"time":1763760000123,"event":"auth-failed","side":"trunk","source":{"address":"${address}","port":5060},"reason":"user-unknown","method":"REGISTER"}\n`

const HOSTILE = [
  'alice","reason":"password-wrong"',
  '","source":{"address":"198.51.100.1","port":5060},"reason":"password-wrong","x":"',
  '{"level":30,"time":1763760000000,"event":"auth-failed","side":"trunk","source":{"address":"198.51.100.1","port":1},"reason":"password-wrong"}',
  'host x[1]: {"level":30,"event":"auth-failed","side":"trunk","source":{"address":"198.51.100.1","port":1},"reason":"user-unknown"',
  '<ADDR> 198.51.100.1 %(_prefix)s',
]

describeWith('the filter of fail2ban', ['fail2ban-regex'], () => {
  it('finds every wrong password of a source, and nothing else', async () => {
    const rig = await startUsers()
    await authenticated(rig, rig.phone, 'REGISTER')
    await rig.upstream.receive()
    await authenticated(rig, rig.phone, 'REGISTER', {}, { password: 'wrong' })
    await rig.phone.receive()
    await authenticated(rig, rig.phone, 'INVITE', {}, { username: 'nobody' })
    await rig.phone.receive()
    const log = logOf(rig)
    expect(log.trimEnd().split('\n').length).toBeGreaterThan(6)
    expect(found(log)).toEqual(['127.0.0.1', '127.0.0.1'])
    // As the journal shows it: its own time, and a name before the line.
    const journal = log.replace(/^(?=\{)/gm, 'edge-1 xkeys[4711]: ')
    expect(found(journal, '-d', '^no date here')).toEqual(['127.0.0.1', '127.0.0.1'])
  })

  it.each(HOSTILE)('takes no user name for another host: %s', async (username) => {
    const rig = await startUsers()
    const quoted = `"${username.replace(/["\\]/g, '\\$&')}"`
    await authenticated(rig, rig.phone, 'REGISTER', {}, { with: { username: quoted } })
    await rig.phone.receive()
    const log = logOf(rig)
    expect(log).toContain('"auth-failed"')
    expect(found(log)).toEqual(['127.0.0.1'])
    expect(found(log.replace(/^(?=\{)/gm, 'edge-1 xkeys[4711]: '))).toEqual(['127.0.0.1'])
  })

  it('knows IPv6', () => {
    expect(found(line('2001:db8::7') + line('192.0.2.7'))).toEqual(['2001:db8::7', '192.0.2.7'])
  })
})

it('the filter has the reasons that are logged, and looks at the service of the unit', () => {
  const filter = readFileSync(deployPath(FILTER), 'utf8')
  expect(/^_reason = (.*)$/m.exec(filter)?.[1]?.split('|')).toEqual([...FAILURE_REASONS])
  const unit = /^journalmatch = _SYSTEMD_UNIT=(.*)$/m.exec(filter)?.[1]
  expect(UNIT).toBe(`systemd/${unit}`)
  expect(deployFile(JAIL)).toMatch(/^filter = xkeys$/m)
})
