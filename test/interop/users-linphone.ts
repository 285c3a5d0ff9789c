/**
 * linphone-daemon as a telephone: it knows MD5 and SHA-256, and is told what to do through a socket.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '../../src/message/types.ts'
import { pathOf } from '../support/deploy-programs.ts'
import { start, tempFolder, waitUntil } from '../support/peers.ts'

/** A telephone. */
export interface Linphone {
  /** Runs a command until what it answers fits; throws when that takes too long. */
  until(command: string, wanted: RegExp): Promise<string>
  stop(): Promise<void>
}

/** Whose it is and where. */
export interface LinphoneOptions {
  readonly local: Endpoint
  /** A port for audio; the next one is taken as well. */
  readonly audio: number
  readonly edge: Endpoint
  readonly username: string
  readonly password: string
  /** What it answers with; others that are offered it leaves alone. */
  readonly algorithm: 'MD5' | 'SHA-256'
}

/** It registers at the start. A closed port is -1; 0 would keep it from listening at all. */
const config = ({ local, audio, edge, username, password, algorithm }: LinphoneOptions): string => `[sip]
bind_address=${local.address}
sip_port=${local.port}
sip_tcp_port=-1
sip_tls_port=-1
use_ipv6=0
guess_hostname=0
contact=sip:${username}@${local.address}
register_only_when_network_is_up=0
default_proxy=0
[rtp]
audio_rtp_port=${audio}
[proxy_0]
reg_proxy=<sip:${edge.address}:${edge.port};transport=udp>
reg_route=<sip:${edge.address}:${edge.port};transport=udp;lr>
reg_identity=sip:${username}@example.org
reg_expires=300
reg_sendregister=1
publish=0
[auth_info_0]
username=${username}
passwd=${password}
realm=example.org
algorithm=${algorithm}
`

/** A connection; undefined where nobody listens yet. Later faults show as an answer that does not come. */
function connectTo(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket))
    socket.on('error', () => resolve(undefined))
  })
}

/** How long it may take to do what it is told, milliseconds. */
const PATIENCE = 15_000

/** Starts one with a HOME of its own; it answers calls by itself. */
export async function startLinphone(options: LinphoneOptions): Promise<Linphone> {
  const folder = tempFolder()
  const pipe = join(folder, 'pipe')
  mkdirSync(join(folder, '.local/share/linphone'), { recursive: true })
  writeFileSync(join(folder, 'linphonerc'), config(options))
  const daemon = start(
    pathOf('env'),
    [
      [`HOME=${folder}`, pathOf('linphone-daemon'), '--config', join(folder, 'linphonerc'), '--auto-answer'],
      // It puts its socket into /tmp, whatever the name.
      ['--pipe', relative('/tmp', pipe), '--log', join(folder, 'log')],
    ].flat(),
    folder,
  )
  // One client at a time, which stays: it ends with the last. The file is there before anybody listens.
  let found: Socket | undefined
  await waitUntil(daemon, async () => (found = await connectTo(pipe)) !== undefined)
  const socket = found!
  let heard = ''
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => (heard += text))

  async function ask(command: string): Promise<string> {
    heard = ''
    socket.write(`${command}\n`)
    for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(20)) {
      if (/^Status: /m.test(heard)) return heard
    }
    throw new Error(`linphone does not answer ${command}:\n${daemon.output()}`)
  }

  return {
    async until(command, wanted) {
      let answer = ''
      for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(100)) {
        answer = await ask(command)
        if (wanted.test(answer)) return answer
      }
      throw new Error(`linphone: ${command} is not ${String(wanted)} but\n${answer}`)
    },
    async stop() {
      socket.destroy()
      await daemon.stop()
    },
  }
}
