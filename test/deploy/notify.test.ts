import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { notifySystemd, type SpawnNotify } from '../../src/edge/notify.ts'
import { describeWith, pathOf } from '../support/deploy-programs.ts'
import { folderWith } from '../support/folder.ts'

/** A `spawn` that starts nothing; `end` says how what it started ends. */
function fakeSpawn(end: (child: EventEmitter) => void) {
  const calls: { command: string; args: readonly string[]; options: Parameters<SpawnNotify>[2] }[] = []
  const fake: SpawnNotify = (command, args, options) => {
    calls.push({ command, args, options })
    const child = new EventEmitter()
    setImmediate(() => end(child))
    return child
  }
  return { fake, calls }
}

const env = { NOTIFY_SOCKET: '/run/systemd/notify', PATH: '/usr/bin', GW_KEY: 'a secret' }

const broken: SpawnNotify = () => {
  throw new TypeError('null bytes')
}

describe('notifySystemd', () => {
  it.each([{}, { NOTIFY_SOCKET: '' }, { NOTIFY_SOCKET: undefined }])('does nothing in %o', async (none) => {
    const { fake, calls } = fakeSpawn(() => {})
    expect(await notifySystemd('ready', none, fake)).toBe('unwanted')
    expect(calls).toEqual([])
  })

  it.each([
    ['ready', '--ready'],
    ['stopping', 'STOPPING=1'],
  ] as const)('says %s, without the rest of the environment', async (state, argument) => {
    const { fake, calls } = fakeSpawn((child) => child.emit('close', 0))
    expect(await notifySystemd(state, env, fake)).toBe('sent')
    expect(calls).toEqual([
      {
        command: 'systemd-notify',
        args: [argument],
        options: {
          env: { NOTIFY_SOCKET: '/run/systemd/notify', PATH: '/usr/bin' },
          stdio: 'ignore',
          timeout: 6000,
          killSignal: 'SIGKILL',
        },
      },
    ])
  })

  it('does without a PATH', async () => {
    const { fake, calls } = fakeSpawn((child) => child.emit('close', 0))
    await notifySystemd('ready', { NOTIFY_SOCKET: '@x' }, fake)
    expect(calls[0]?.options.env).toEqual({ NOTIFY_SOCKET: '@x' })
  })

  it.each([
    ['ends with 1', (child: EventEmitter) => child.emit('close', 1)],
    ['is killed', (child: EventEmitter) => child.emit('close', null)],
    ['cannot be started', (child: EventEmitter) => child.emit('error', new Error('ENOENT'))],
    [
      'fails twice',
      (child: EventEmitter) => {
        child.emit('error', new Error('EPERM'))
        child.emit('close', -1)
      },
    ],
  ])('tells that it failed where the program %s', async (_, end) => {
    expect(await notifySystemd('stopping', env, fakeSpawn(end).fake)).toBe('failed')
  })

  it('tells that it failed where spawn throws', async () => {
    expect(await notifySystemd('ready', env, broken)).toBe('failed')
  })
})

describe('a child process', () => {
  it('is started by itself, and gets what it needs and no more', async () => {
    const folder = folderWith({
      'systemd-notify': '#!/bin/sh\necho "$@" > "$0.told"\nexport -p >> "$0.told"\n',
    })
    chmodSync(join(folder, 'systemd-notify'), 0o755)
    expect(await notifySystemd('stopping', { ...env, PATH: folder })).toBe('sent')
    const told = readFileSync(join(folder, 'systemd-notify.told'), 'utf8')
    expect(told).toMatch(/^STOPPING=1\n/)
    expect(told).toContain('NOTIFY_SOCKET')
    expect(told).not.toContain('secret')
  })

  it('that is not installed is no error', async () => {
    expect(await notifySystemd('ready', { ...env, PATH: folderWith({}) })).toBe('failed')
  })
})

/** Receives datagrams at a path and writes a line for each: Node has no such sockets. */
const RECEIVER = `
use IO::Socket::UNIX; $| = 1;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die "no socket: $!";
print "listening\\n";
while (defined $socket->recv(my $datagram, 4096)) { $datagram =~ s/\\n/ /g; print "$datagram\\n" }
`

/** A stand-in for systemd; gone with the test, and by itself after a while. */
async function listen(path: string): Promise<{ line(): Promise<string> }> {
  const child = spawn(pathOf('perl'), ['-e', `alarm 30; ${RECEIVER}`, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async (): Promise<string> => String((await lines.next()).value)
  expect(await line()).toBe('listening')
  return { line }
}

describeWith('notifying a socket', ['systemd-notify', 'perl'], () => {
  it('says READY=1 and STOPPING=1', async () => {
    const NOTIFY_SOCKET = join(folderWith({}), 'notify')
    const socket = await listen(NOTIFY_SOCKET)
    /** The next that is no question of `systemd-notify` whether all before was read. */
    const told = async (): Promise<string> => {
      const line = await socket.line()
      return line.startsWith('BARRIER=') ? told() : line
    }
    const environment = { NOTIFY_SOCKET, PATH: process.env['PATH'] }
    expect(await notifySystemd('ready', environment)).toBe('sent')
    expect(await told()).toBe('READY=1')
    expect(await notifySystemd('stopping', environment)).toBe('sent')
    expect(await told()).toBe('STOPPING=1')
  })

  it('at which nobody listens fails, and no more', async () => {
    const NOTIFY_SOCKET = join(folderWith({}), 'nobody')
    expect(await notifySystemd('ready', { NOTIFY_SOCKET, PATH: process.env['PATH'] })).toBe('failed')
  })
})
