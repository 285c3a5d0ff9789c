/**
 * sipsak as a telephone: it knows MD5, and looks at the topmost challenge alone. It answers a challenge of any request that
 * it is given, and acknowledges no call. (Over TLS it could be asked as well; the edge has no TLS.)
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Endpoint } from '../../src/message/types.ts'
import { pathOf } from '../support/deploy-programs.ts'
import { start, tempFolder } from '../support/peers.ts'

/** Whose it is, where, and what it asks. */
export interface SipsakOptions {
  readonly local: Endpoint
  readonly edge: Endpoint
  readonly username: string
  readonly password: string
  readonly method: 'REGISTER' | 'INVITE'
  /** User at example.org that a call is for. */
  readonly callee?: string
}

/** Plays it to its end. @returns what it tells; its exit code is 0 where it was answered with 200 */
export async function runSipsak(options: SipsakOptions): Promise<{ code: number | null; output: string }> {
  const { local, edge, username, password, method, callee } = options
  const folder = tempFolder()
  const at = `${local.address}:${local.port}`
  const isCall = method === 'INVITE'
  const lines = [
    `${method} sip:${isCall ? `${callee}@` : ''}example.org SIP/2.0`,
    `From: <sip:${username}@example.org>;tag=sak`,
    `To: <sip:${isCall ? callee : username}@example.org>`,
    `Call-ID: ${username}-${method}@${local.address}`,
    `CSeq: 1 ${method}`,
    'Max-Forwards: 70',
    'User-Agent: sipsak',
    `Contact: <sip:${username}@${at}>`,
    ...(isCall ? [] : ['Expires: 300']),
    'Content-Length: 0',
  ]
  writeFileSync(join(folder, 'request'), `${lines.join('\n')}\n\n`)
  const sipsak = start(
    pathOf('sipsak'),
    [
      [
        '-f',
        'request',
        '-vv',
        '-S',
        '-l',
        String(local.port),
        '-H',
        local.address,
        '-u',
        username,
        '-a',
        password,
      ],
      ['-s', `sip:${username}@${edge.address}:${edge.port}`],
    ].flat(),
    folder,
  )
  return { code: await sipsak.ended, output: sipsak.output() }
}
