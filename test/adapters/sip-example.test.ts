import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { openPeer } from '../support/udp-peer.ts'
import { bytesOf } from '../support/messages.ts'

const example = (name: string): string =>
  fileURLToPath(new URL(`../../examples/sip/${name}`, import.meta.url))

interface Program {
  readonly child: ChildProcess
  /** Resolves with the first line that matches. */
  line(pattern: RegExp): Promise<string>
  lines(): readonly string[]
}

function run(name: string, env: Readonly<Record<string, string>>): Program {
  const child = spawn(process.execPath, [example(name)], { env: { ...env }, stdio: 'pipe' })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  const changed = new EventTarget()
  const ended = once(child, 'close')
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more
      changed.dispatchEvent(new Event('change'))
    })
  }
  const lines = (): readonly string[] => text.split('\n').slice(0, -1)
  return {
    child,
    lines,
    async line(pattern) {
      for (;;) {
        const found = lines().find((line) => pattern.test(line))
        if (found !== undefined) return found
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${text}`)
        await Promise.race([once(changed, 'change'), ended])
      }
    },
  }
}

it('examples/sip type-checks against the built package', async () => {
  const repository = fileURLToPath(new URL('../../', import.meta.url))
  // Inside of the repository, so that `auth-xkeys` means this package.
  mkdirSync(join(repository, '.cache'), { recursive: true })
  const folder = mkdtempSync(join(repository, '.cache', 'examples-sip-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: { allowJs: true, checkJs: true, typeRoots: ['../../node_modules/@types'] },
    include: ['../../examples/sip/*.mjs'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(repository, 'node_modules/typescript/bin/tsc')
  const child = spawn(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { stdio: 'pipe' })
  let report = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (report += text))
  await once(child, 'close')
  expect(report).toBe('')
})

it('the two ends of examples/sip hold a signed call, and the app refuses what is not', async () => {
  const app = run('app.mjs', { ADDRESS: '127.0.0.1', PORT: '0', PEER: '127.0.0.2' })
  const port = /:(\d+)$/.exec(await app.line(/^listening on /))![1]!
  const call = run('call.mjs', { ADDRESS: '127.0.0.2', TARGET: `127.0.0.1:${port}` })
  const [exit] = (await once(call.child, 'close')) as [number | null]
  expect({ exit, lines: call.lines() }).toEqual({
    exit: 0,
    lines: ['180 Ringing', '200 OK', 'ended with 200'],
  })
  await app.line(/^call ended$/)
  expect(app.lines().slice(1)).toEqual([
    'INVITE from 127.0.0.2: accept',
    expect.stringMatching(/^call from carrier, key /),
    'ACK from 127.0.0.2: accept',
    'call up',
    'BYE from 127.0.0.2: accept',
    'call ended',
  ])

  const stranger = await openPeer()
  onTestFinished(() => stranger.close())
  await stranger.send(bytesOf(), { address: '127.0.0.1', port: Number(port) })
  expect((await stranger.receive()).message.status).toBe(403)

  app.child.kill('SIGTERM')
  expect(await once(app.child, 'close')).toEqual([0, null])
})
