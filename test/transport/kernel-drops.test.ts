import { expect, it } from 'vitest'
import { kernelDrops, parseDrops } from '../../src/transport/kernel-drops.ts'
import { openUdp } from '../../src/transport/udp.ts'

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000 7
  102: 0100007F:13C4 0200007F:13C5 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0000 5
  103: 0200007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000 100
  104: 0200007F:0035 0100007F:13C4 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0000 1000
`

it('sums the drops of the sockets on one address and port, and of no other', () => {
  expect(parseDrops(TABLE, { address: '127.0.0.1', port: 5060 })).toBe(12)
  expect(parseDrops(TABLE, { address: '127.0.0.2', port: 5060 })).toBe(100)
  expect(parseDrops(TABLE, { address: '127.0.0.3', port: 5060 })).toBeUndefined()
})

it.runIf(process.platform === 'linux')('reads a socket that is open', async () => {
  const socket = await openUdp({
    address: '127.0.0.1',
    port: 0,
    receiveBuffer: 65_536,
    onMessage: () => {},
    onError: () => {},
  })
  expect(kernelDrops(socket.local)).toBe(0)
  await socket.close()
})
