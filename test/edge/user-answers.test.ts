import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it, vi } from 'vitest'
import { createBranches } from '../../src/edge/branch.ts'
import { createUserResponses } from '../../src/edge/user-responses.ts'
import { viewOf } from '../../src/message/view.ts'
import { parsed } from '../support/messages.ts'
import { phoneRequest } from '../support/users-rig.ts'

const MEBIBYTE = 1 << 20

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

it('what is kept of accepted requests for their 2xx is bounded by its bytes, too', async () => {
  const socket = { local: { address: '127.0.0.1', port: 5060 } } as never
  const responses = createUserResponses({
    sockets: { trunk: socket, upstream: socket },
    branches: createBranches(Buffer.from('secret')),
    countOut: () => {},
    isUpstream: () => true,
    isOurs: () => false,
    drop: () => {},
    note: () => {},
  })
  collect()
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 3000; i++) {
    const view = viewOf(parsed(phoneRequest('INVITE', { body: 'x'.repeat(60_000) })))
    responses.expect('.u7f00000113c4', view, () => [['X-Holds', view.method]])
  }
  // Memory behind a buffer goes some time after the buffer.
  await vi.waitFor(
    () => {
      collect()
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MEBIBYTE)
    },
    { timeout: 10_000, interval: 50 },
  )
  expect(responses).toBeDefined()
})
