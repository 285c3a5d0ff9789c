/**
 * A registrar and proxy that stop after authentication: a UDP socket on authenticate() and verifyUser().
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createNonces } from '../../src/digest/nonce.ts'
import { createSteadyClock } from '../../src/digest/steady-clock.ts'
import { parseCredentials } from '../../src/digest/toml-credentials.ts'
import type { UserEvent } from '../../src/digest/user-event.ts'
import { parseMessage } from '../../src/message/parse.ts'
import { buildResponse } from '../../src/message/respond.ts'
import type { Endpoint } from '../../src/message/types.ts'
import { viewOf } from '../../src/message/view.ts'
import { authenticate, type AuthenticateResult } from '../../src/pipeline/authenticate.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import { verifyUser, type VerifyUserOptions } from '../../src/pipeline/verify-user.ts'
import { createMemoryClaims } from '../../src/stores/claim-memory.ts'
import { nonceRing } from '../digest/stage.ts'
import { SECRETS } from '../support/signed-messages.ts'

/** A host at work. */
export interface DigestHost {
  readonly local: Endpoint
  /** What the stage told, so far. */
  readonly events: readonly UserEvent[]
  /** How often each outcome was, such as `refused: password-wrong`. */
  counts(): Readonly<Record<string, number>>
  close(): Promise<void>
}

const monotonic = (): number => performance.now()

function answer(
  bytes: Buffer,
  source: Endpoint,
  { decision, respond }: AuthenticateResult,
): Buffer | undefined {
  if (decision.verdict !== 'accept') return respond
  const parsed = parseMessage(bytes)
  if (!parsed.ok || parsed.message.method === 'ACK') return undefined
  return buildResponse(viewOf(parsed.message), source, { status: 200, headers: decision.answer?.() })
}

/** Starts a host; what is accepted is answered with 200 and Authentication-Info. */
export async function startDigestHost(
  local: Endpoint,
  users: string,
  options: Partial<VerifyUserOptions> = {},
): Promise<DigestHost> {
  const time = createSteadyClock(() => new Date(), monotonic)
  const events: UserEvent[] = []
  const stage = verifyUser({
    credentials: parseCredentials(users),
    domains: ['example.org'],
    nonces: createNonces({ keyring: nonceRing(SECRETS.old), group: 'nonces', time }),
    claims: createMemoryClaims({ capacity: 10_000, since: new Date(time()), monotonic }),
    observe: (event) => events.push(event),
    monotonic,
    ...options,
  })
  const pipeline = createPipeline([stage])
  const socket = createSocket('udp4')

  socket.on('message', (bytes, { address, port }) => {
    const source = { address, port }
    const result = authenticate(bytes, { transport: 'udp', source, local }, pipeline)
    if (result instanceof Promise) throw new Error('the synchronous way pays for no promise')
    const response = answer(bytes, source, result)
    if (response !== undefined) socket.send(response, port, address)
  })
  socket.bind(local.port, local.address)
  await once(socket, 'listening')
  return {
    local,
    events,
    counts() {
      const counts: Record<string, number> = {}
      for (const event of events) {
        const name = event.event === 'accepted' ? event.event : `${event.event}: ${event.reason}`
        counts[name] = (counts[name] ?? 0) + 1
      }
      return counts
    },
    close: () =>
      new Promise((resolve) => {
        socket.close(() => resolve())
      }),
  }
}
