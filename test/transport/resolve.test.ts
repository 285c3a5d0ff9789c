import { describe, expect, it } from 'vitest'
import { resolveHop } from '../../src/transport/resolve.ts'

describe('the targets of a hop', () => {
  it('an address is itself, on the transports that are named', async () => {
    expect(await resolveHop({ host: '192.0.2.1', port: 0, transports: ['udp', 'tcp'] })).toEqual([
      { transport: 'udp', address: '192.0.2.1', port: 5060 },
      { transport: 'tcp', address: '192.0.2.1', port: 5060 },
    ])
    expect(await resolveHop({ host: '2001:db8::1', port: 5070, transports: ['tcp'] })).toEqual([
      { transport: 'tcp', address: '2001:db8::1', port: 5070 },
    ])
  })

  it('a name with a port is looked up, in the hosts file too', async () => {
    const targets = await resolveHop({ host: 'localhost', port: 5070, transports: ['udp'] })
    expect(targets).toContainEqual({ transport: 'udp', address: '127.0.0.1', port: 5070 })
  })

  it('a name that is none leads nowhere', async () => {
    expect(await resolveHop({ host: 'no such name', port: 5060, transports: ['udp'] })).toEqual([])
  })
})
