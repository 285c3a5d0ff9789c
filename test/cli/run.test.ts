import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseExposition } from '../support/exposition.ts'
import { folderWith } from '../support/folder.ts'
import { requestOf } from '../support/edge-rig.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { openPeer } from '../support/udp-peer.ts'
import { spawnXkeys, xkeys, type Outcome } from '../support/xkeys.ts'

const files = (trunk = '127.0.0.1:0') => ({
  'keys.toml': `[[groups.gw.keys]]\nname = "k1"\nvalue_env = "GW_KEY"\n`,
  'edge.toml': `keyring = "keys.toml"
[listen]
trunk = "${trunk}"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[metrics]
listen = "127.0.0.1:0"
[log]
level = "debug"
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
`,
})
const env = { GW_KEY: SECRETS.new }

interface LogLine {
  readonly event?: string
  readonly [field: string]: unknown
}

interface Running {
  readonly started: LogLine & {
    readonly trunk: { readonly address: string; readonly port: number }
    readonly metrics: { readonly address: string; readonly port: number }
  }
  /** The next line of that event. */
  readonly line: (event: string) => Promise<LogLine>
  readonly end: (signal: NodeJS.Signals) => Promise<Outcome>
}

async function run(cwd: string): Promise<Running> {
  const child = spawnXkeys(['run', '--config', 'edge.toml'], { cwd, env })
  onTestFinished(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  let read = 0
  const arrived = new EventTarget()
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
    arrived.dispatchEvent(new Event('line'))
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const line = async (event: string): Promise<LogLine> => {
    for (;;) {
      const end = stdout.indexOf('\n', read)
      if (end < 0) {
        await Promise.race([once(arrived, 'line'), once(child, 'close')])
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${stderr}`)
        continue
      }
      const found: LogLine = JSON.parse(stdout.slice(read, end))
      read = end + 1
      if (found.event === event) return found
    }
  }
  const end = async (signal: NodeJS.Signals): Promise<Outcome> => {
    const closed = once(child, 'close')
    child.kill(signal)
    const [exit] = (await closed) as [number | null]
    return { stdout, stderr, exit }
  }
  return { started: (await line('started')) as Running['started'], line, end }
}

describe('xkeys run', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('runs until %s: answers, counts, ends with 0', async (signal) => {
    const { started, line, end } = await run(folderWith(files()))
    const peer = await openPeer()
    onTestFinished(() => peer.close())
    await peer.send(requestOf('OPTIONS', peer), started.trunk)
    expect((await peer.receive()).message.status).toBe(403)
    expect(await line('decided')).toMatchObject({ level: 20, verdict: 'reject', reason: 'header-missing' })

    const at = `http://${started.metrics.address}:${started.metrics.port}`
    const scraped = await fetch(`${at}/metrics`)
    expect(scraped.status).toBe(200)
    const families = parseExposition(await scraped.text())
    const refused = families
      .get('xkeys_rejections_total')!
      .samples.filter(({ labels, value }) => labels['reason'] === 'header-missing' && value === 1)
    expect(refused).toHaveLength(1)
    expect(await (await fetch(`${at}/readyz`)).text()).toBe('ready\n')

    const { stdout, stderr, exit } = await end(signal)
    expect([stderr, exit]).toEqual(['', 0])
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((text): LogLine => JSON.parse(text))
    expect(events.map(({ event }) => event).filter((event) => event !== 'config')).toEqual([
      'started',
      'decided',
      'draining',
      'stopped',
    ])
    expect(stdout).not.toContain(SECRETS.new)
  })

  it('lets go of its ports: another one starts on them', async () => {
    const first = await run(folderWith(files()))
    const trunk = `127.0.0.1:${first.started.trunk.port}`
    const folder = folderWith(files(trunk))
    expect(await xkeys(['run', '--config', 'edge.toml'], { cwd: folder, env })).toMatchObject({
      stderr: expect.stringMatching(/^xkeys: .*EADDRINUSE.*\n$/),
      stdout: expect.not.stringContaining('started'),
      exit: 78,
    })
    await first.end('SIGTERM')
    const second = await run(folder)
    expect(second.started.trunk.port).toBe(first.started.trunk.port)
    expect((await second.end('SIGTERM')).exit).toBe(0)
  })

  it('does not start without its keys: 78, one line for each', async () => {
    const outcome = await xkeys(['run', '--config', join(folderWith(files()), 'edge.toml')], { cwd: '.' })
    expect(outcome).toEqual({
      stdout: '',
      stderr:
        'xkeys: keys.toml: line 3: groups.gw.keys[0].value_env: cannot be fetched: the environment variable is not set\n',
      exit: 78,
    })
  })
})

describe('a bug', () => {
  it('ends with 70 and one line, without a trace', async () => {
    const broken = "data:text/javascript,String.prototype.padEnd=()=>{throw new TypeError('it broke')}"
    const { stderr, exit } = await xkeys(['keyring', 'list', 'keyrings/demo.toml'], {
      cwd: '.',
      env: { NODE_OPTIONS: `--import "${broken}"` },
    })
    expect(exit).toBe(70)
    expect(stderr.split('\n').filter((line) => !line.startsWith('xkeys: warning: '))).toEqual([
      'xkeys: bug: it broke',
      '',
    ])
  })
})

describe('a reader that goes away', () => {
  it('is no error', async () => {
    const child = spawnXkeys(['key', 'generate', '--count', '9999'], { cwd: '.' })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [exit] = await once(child, 'close')
    expect([stderr, exit]).toEqual(['', 0])
  })
})
