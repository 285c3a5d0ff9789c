import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import { readdirSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fileURLToPath } from 'node:url'
import { parseExposition, type Family } from '../support/exposition.ts'
import { folderWith } from '../support/folder.ts'

const MAIN = fileURLToPath(new URL('../../examples/demo/main.mjs', import.meta.url))

interface Demo {
  /** Temporary files go here. */
  readonly folder: string
  /** The first line that matches, from the beginning on. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  signal(name: NodeJS.Signals): void
  end(): Promise<{ readonly exit: number | null; readonly stdout: string; readonly stderr: string }>
}

function startDemo(env: Readonly<Record<string, string>> = {}): Demo {
  const folder = folderWith({})
  const child = spawn(process.execPath, [MAIN], {
    cwd: folder,
    env: { TMPDIR: folder, ...env },
    stdio: 'pipe',
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const closed = once(child, 'close') as Promise<[number | null]>
  let stdout = ''
  let stderr = ''
  const arrived = new EventTarget()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    arrived.dispatchEvent(new Event('text'))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return {
    folder,
    line: async (pattern) => {
      for (;;) {
        const found = pattern.exec(stdout)
        if (found !== null) return found
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${stdout}${stderr}`)
        await Promise.race([once(arrived, 'text'), closed])
      }
    },
    signal: (name) => void child.kill(name),
    end: async () => {
      const [exit] = await closed
      return { exit, stdout, stderr }
    },
  }
}

/** Fails where something still holds the UDP port. */
async function bindOnce(port: number): Promise<void> {
  const socket = createSocket('udp4')
  socket.bind(port, '127.0.0.1')
  await once(socket, 'listening')
  socket.close()
  await once(socket, 'close')
}

const scrape = async (url: string): Promise<ReadonlyMap<string, Family>> => {
  const response = await fetch(url)
  expect(response.status).toBe(200)
  return parseExposition(await response.text())
}
const SUMMARY =
  /^summary: (\d+) calls placed, (\d+) completed, (\d+) refused as they should be, (\d+) lost; (\d+) responses not verified; (\d+) tokens seen/m

describe('the demonstration', () => {
  it('runs, shows what it counts, ends by itself and leaves nothing', async () => {
    const demo = startDemo({ XKEYS_DEMO_SECONDS: '3' })
    const [, url = ''] = await demo.line(/metrics at (http:\S+)/)
    const [, edge = ''] = await demo.line(/edge on 127\.0\.0\.1:(\d+)/)
    await demo.line(/header-missing [1-9].*token-mismatch [1-9]|token-mismatch [1-9].*header-missing [1-9]/)
    const families = await scrape(url)
    const accepted = families
      .get('xkeys_verifications_total')!
      .samples.filter(({ labels }) => labels['outcome'] === 'accept')
    expect(accepted.find(({ labels }) => labels['direction'] === 'request')!.value).toBeGreaterThan(0)
    expect(families.get('xkeys_build_info')!.samples).toHaveLength(1)

    const { exit, stdout, stderr } = await demo.end()
    expect([stderr, exit]).toEqual(['', 0])
    expect(stdout).toMatch(/^accepted \d+ {2}refused \d+.* calls\/s \d+ {2}active key \S+$/m)
    const [placed, completed, refused, lost, unverified, seen] = SUMMARY.exec(stdout)!.slice(1).map(Number)
    expect(placed).toBeGreaterThan(75)
    expect(refused).toBeGreaterThanOrEqual(2)
    expect([lost, unverified, seen]).toEqual([0, 0, 0])
    expect(completed! + refused!).toBe(placed)
    expect(stdout).not.toMatch(/xks_/)

    expect(readdirSync(demo.folder)).toEqual([])
    await expect(fetch(url)).rejects.toThrow('fetch failed')
    await bindOnce(Number(edge))
  })

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'drains on %s: calls that are up end, none is lost',
    async (signal) => {
      const demo = startDemo()
      const [, edge = ''] = await demo.line(/edge on 127\.0\.0\.1:(\d+)/)
      await demo.line(/^accepted [1-9]/m)
      demo.signal(signal)
      const { exit, stdout, stderr } = await demo.end()
      expect([stderr, exit]).toEqual(['', 0])
      const [placed, completed, refused, lost] = SUMMARY.exec(stdout)!.slice(1).map(Number)
      expect(lost).toBe(0)
      expect(completed! + refused!).toBe(placed)
      expect(readdirSync(demo.folder)).toEqual([])
      await bindOnce(Number(edge))
    },
  )

  it('two run side by side', async () => {
    const both = [startDemo({ XKEYS_DEMO_SECONDS: '1' }), startDemo({ XKEYS_DEMO_SECONDS: '1' })]
    const ends = await Promise.all(both.map((demo) => demo.end()))
    for (const { exit, stdout } of ends) {
      expect(exit).toBe(0)
      expect(Number(SUMMARY.exec(stdout)![4])).toBe(0)
    }
  })
})
