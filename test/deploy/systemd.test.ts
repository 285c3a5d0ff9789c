import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS, UNIT, deployFile } from '../support/deploy-files.ts'
import { describeWith, runProgram } from '../support/deploy-programs.ts'
import { folderWith } from '../support/folder.ts'

const unit = deployFile(UNIT)
/** The last value of a setting. */
const setting = (name: string): string | undefined =>
  [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].at(-1)?.[1]

describe('the unit', () => {
  it('runs the command, hears its notifications, and restarts what failed', () => {
    expect(setting('ExecStart')).toBe('/usr/local/bin/xkeys run --config /etc/xkeys/edge.toml')
    expect([setting('Type'), setting('NotifyAccess')]).toEqual(['notify', 'all'])
    expect([setting('Restart'), setting('KillSignal')]).toEqual(['on-failure', 'SIGTERM'])
  })

  it('gives it longer to stop than it drains unless told otherwise', () => {
    expect(Number(setting('TimeoutStopSec'))).toBeGreaterThan(DEFAULT_LIMITS.drainTimeout)
  })

  it('lets V8 compile, and /proc/net/udp be read', () => {
    expect(setting('MemoryDenyWriteExecute')).toBe('no')
    expect(setting('ProcSubset')).toBe('all')
  })

  it('runs as the owner of the keyring, with a state directory, as the README tells', () => {
    const readme = deployFile('README.md')
    expect(readme).toContain(`install -m 600 -o ${setting('User')} keyring.toml`)
    const state = `state = "/var/lib/${setting('StateDirectory')}"`
    expect(readme).toContain(state)
    expect(unit).toContain(state)
    // A copy that systemd made at the start would never change.
    expect(unit).not.toContain('LoadCredential')
  })

  it('reads the keyring at once on reload', () => {
    expect(setting('ExecReload')).toBe('/bin/kill -HUP $MAINPID')
  })
})

describe('the sysctl file', () => {
  it('allows the receive buffer that the edge asks for unless told otherwise', () => {
    const [, bytes] = /^net\.core\.rmem_max = (\d+)$/m.exec(deployFile('sysctl/90-xkeys.conf')) ?? []
    expect(Number(bytes)).toBe(DEFAULT_LIMITS.receiveBuffer)
  })

  it('has nothing but settings and comments', () => {
    for (const line of deployFile('sysctl/90-xkeys.conf').trimEnd().split('\n'))
      expect(line).toMatch(/^(?:# .*|[a-z_.]+ = \d+)$/)
  })
})

/** systemd looks for the program, which is not installed here. */
const runnable = unit.replace('/usr/local/bin/xkeys', process.execPath)
const verify = async (text: string) => {
  const path = join(folderWith({}), 'xkeys-edge.service')
  writeFileSync(path, text)
  return runProgram('systemd-analyze', ['verify', '--man=no', path])
}

describeWith('the unit for systemd', ['systemd-analyze'], () => {
  it('is understood to the last line', async () => {
    expect(await verify(runnable)).toEqual({ exit: 0, output: '' })
  })

  it.each([
    ['Type=notify', 'Type=notified'],
    ['ProtectSystem=strict', 'ProtectSystem=very'],
    ['NoNewPrivileges=yes', 'NoMorePrivileges=yes'],
    ['SystemCallFilter=@system-service @pkey', 'SystemCallFilter=@sip'],
  ])('would not be with %s as %s', async (right, wrong) => {
    expect(runnable).toContain(right)
    const { output } = await verify(runnable.replace(right, wrong))
    expect(output).not.toBe('')
  })

  it('is exposed no more than a service on the network must be', async () => {
    const path = join(folderWith({}), 'xkeys-edge.service')
    writeFileSync(path, runnable)
    // Of 100; a unit without any hardening has 96. Newer versions of systemd weigh a little differently.
    const scored = await runProgram('systemd-analyze', [
      'security',
      '--offline=true',
      '--threshold=25',
      '--no-pager',
      path,
    ])
    expect(scored).toMatchObject({ exit: 0 })
  })
})
