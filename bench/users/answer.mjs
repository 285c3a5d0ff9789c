// @ts-check
/** The upstream of a run: `node answer.mjs PORT` answers every request but ACK with 200. */
import { createSocket } from 'node:dgram'

const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
const KEPT = /^(?:Via|v|From|f|Call-ID|i|CSeq|Record-Route): .*\r\n/gim
const TO = /^To: (.*)\r\n/im

socket.on('message', (bytes, { address, port }) => {
  const text = bytes.toString('latin1')
  if (text.startsWith('ACK ') || text.startsWith('SIP/2.0')) return
  const to = TO.exec(text)?.[1] ?? ''
  const head = (text.match(KEPT) ?? []).join('')
  socket.send(
    Buffer.from(`SIP/2.0 200 OK\r\n${head}To: ${to};tag=up\r\nContent-Length: 0\r\n\r\n`, 'latin1'),
    port,
    address,
  )
})
socket.bind(Number(process.argv[2]), '127.0.0.1')
