import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { parseExposition } from '../support/exposition.ts'
import { folderWith } from '../support/folder.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { spawnXkeys } from '../support/xkeys.ts'

const key = (name: string, secret: string): string =>
  `[[groups.gw.keys]]\nname = "${name}"\nvalue = "${secret}"\n`
const EDGE = `keyring = "keys.toml"
state = "state"
node = "edge-1"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[metrics]
listen = "127.0.0.1:0"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "gw"
algorithm = "hmac-sha256"
request = "$rm:$ru:$ci"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
`

interface Line {
  readonly event?: string
  readonly level?: number
  readonly change?: string
  readonly issues?: readonly unknown[]
  readonly metrics?: { readonly address: string; readonly port: number }
}

it('SIGHUP reads the keyring of a running edge, and a broken one ends nothing', async () => {
  const folder = folderWith({ 'edge.toml': EDGE, 'keys.toml': key('k1', SECRETS.old) })
  const child = spawnXkeys(['run', '--config', 'edge.toml'], { cwd: folder })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: Line[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const whole = (rest + chunk).split('\n')
    rest = whole.pop()!
    for (const line of whole) lines.push(JSON.parse(line) as Line)
  })
  const line = async (event: string): Promise<Line> => {
    for (;;) {
      const at = lines.findIndex((one) => one.event === event)
      if (at >= 0) return lines.splice(0, at + 1).at(-1)!
      await once(child.stdout, 'data')
    }
  }
  const { metrics } = await line('started')
  const keysShown = async (): Promise<readonly string[]> => {
    const text = await (await fetch(`http://${metrics!.address}:${metrics!.port}/metrics`)).text()
    return parseExposition(text)
      .get('xkeys_key_info')!
      .samples.map(({ labels }) => labels['key']!)
  }
  expect(await keysShown()).toEqual(['k1'])

  child.kill('SIGHUP')
  expect(await line('keyring-loaded')).toMatchObject({ level: 30, change: 'same' })

  // Renamed over and told at once: the signal may come before or behind the change is noticed.
  writeFileSync(join(folder, 'new'), key('k1', SECRETS.old) + key('k2', SECRETS.new))
  renameSync(join(folder, 'new'), join(folder, 'keys.toml'))
  child.kill('SIGHUP')
  expect(await line('keyring-loaded')).toMatchObject({ change: 'changed', keys: 2 })
  expect(await keysShown()).toEqual(['k1', 'k2'])

  writeFileSync(join(folder, 'keys.toml'), `${key('k1', SECRETS.old)}expires = soon\n`)
  child.kill('SIGHUP')
  expect(await line('keyring-refused')).toMatchObject({ level: 50, issues: [{ line: 4 }] })
  expect(await keysShown()).toEqual(['k1', 'k2'])

  child.kill('SIGTERM')
  await line('stopped')
  const [exit] = (await once(child, 'close')) as [number | null]
  expect(exit).toBe(0)
})
