/**
 * A telephone of the test's own, for what a real one does only now and then: it goes to another node, comes after a
 * restart, sends something twice.
 */
import type { Endpoint } from '../../src/message/types.ts'
import { answerTo, paramsOf } from '../digest/client.ts'
import { headerOf, openEnd } from './endpoint.ts'

/** A telephone that registers. */
export interface Agent {
  readonly local: Endpoint
  /** Sends a REGISTER of a transaction of its own, and waits for the answer. */
  register(to: Endpoint, credentials?: string): Promise<Answer>
  /** Credentials for a challenge; each is counted. */
  credentials(challenged: Answer): string
  /** Registers as a user agent does: answers a challenge, and once more one that is new because the first was stale. */
  registerAt(...nodes: readonly Endpoint[]): Promise<Answer>
  close(): void
}

/** An answer to a request. */
export interface Answer {
  readonly status: number
  readonly text: string
  /** Whether it says that only the nonce was too old. */
  readonly isStale: boolean
}

/** The challenge of an answer that the agent understands. */
function challengeOf({ text }: Answer): string {
  const [, value] = /^WWW-Authenticate: (.*algorithm=SHA-256,.*)\r$/m.exec(text) ?? []
  if (value === undefined) throw new Error(`no challenge:\n${text}`)
  return value
}

/** Opens one on a port of its own. */
export async function openAgent(username: string, password: string, local: Endpoint): Promise<Agent> {
  const end = await openEnd(local)
  const counts = new Map<string, number>()
  const callId = `${username}-${local.port}`
  let cseq = 0

  async function register(to: Endpoint, credentials?: string): Promise<Answer> {
    const number = ++cseq
    const lines = [
      'REGISTER sip:example.org SIP/2.0',
      `Via: SIP/2.0/UDP ${local.address}:${local.port};branch=z9hG4bK${callId}-${number};rport`,
      'Max-Forwards: 70',
      `From: <sip:${username}@example.org>;tag=${callId}`,
      `To: <sip:${username}@example.org>`,
      `Call-ID: ${callId}`,
      `CSeq: ${number} REGISTER`,
      `Contact: <sip:${username}@${local.address}:${local.port}>`,
      'Expires: 300',
      ...(credentials === undefined ? [] : [`Authorization: ${credentials}`]),
      'Content-Length: 0',
    ]
    const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
    // As a telephone does: again, where no answer comes.
    for (let sent = 0; sent < 7; sent++) {
      end.send(bytes, to)
      for (;;) {
        const back = await end.next(1000)
        if (back === undefined) break
        if (!headerOf(back.text, 'CSeq')?.startsWith(`${number} `)) continue
        const status = Number(back.text.slice(8, 11))
        if (status >= 200) return { status, text: back.text, isStale: /, stale=true/i.test(back.text) }
      }
    }
    throw new Error(`${to.address}:${to.port} does not answer ${username}`)
  }

  function credentials(challenged: Answer): string {
    const challenge = challengeOf(challenged)
    const { nonce = '' } = paramsOf(challenge)
    const count = (counts.get(nonce) ?? 0) + 1
    counts.set(nonce, count)
    return answerTo(challenge, { username, password, nc: count.toString(16).padStart(8, '0') })
  }

  return {
    local,
    register,
    credentials,
    async registerAt(...nodes) {
      let answer = await register(nodes[0]!)
      for (let i = 1; i <= 2 && answer.status === 401 && (i === 1 || answer.isStale); i++)
        answer = await register(nodes[i % nodes.length]!, credentials(answer))
      return answer
    },
    close: () => end.close(),
  }
}
