// @ts-check
/** Telephones that register again and again: asked, they answer, and note what became of it and when. */
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { PASSWORD, REALM, userName } from './database.mjs'
import { registerText } from './rig.mjs'

/** When a request is sent again, milliseconds after it was first (RFC 3261 §17.1.2, T1 500 ms); then it is given up. */
const AGAIN = [500, 1500, 3500, 7500]
const GIVE_UP = 11_500

/** @param {string} text */
const md5 = (text) => createHash('md5').update(text).digest('hex')

/**
 * @typedef Outcome
 * @property {number} asked when the credentials were sent, milliseconds of `performance.now()`
 * @property {number} at when it was answered, or given up
 * @property {number} status 0 where no answer came
 * @property {'right' | 'wrong'} password
 */

/** @typedef {{ name: string, password: 'right' | 'wrong', text: string, sent: number, again: number, asked: number }} Phone */

/** The answer to a challenge. @param {Phone} phone @param {string} nonce */
function answered({ name, password, text }, nonce) {
  const ha1 = md5(`${name}:${REALM}:${password === 'right' ? PASSWORD : 'wrong'}`)
  const ha2 = md5(`REGISTER:sip:${REALM}`)
  const response = md5(`${ha1}:${nonce}:00000001:0a4f113b:auth:${ha2}`)
  const values = `username="${name}", realm="${REALM}", nonce="${nonce}", uri="sip:${REALM}", response="${response}"`
  const line = `Authorization: Digest ${values}, algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b"`
  return text.replace('branch=', 'branch=z9hG4bKa-').replace('Content-Length', `${line}\r\nContent-Length`)
}

/**
 * Starts them. @param {{ users: number, listen: number }} ports @param {{ rate: number, accounts: number, wrong: number }} options
 * registrations a second, accounts in turn, every which one has a wrong password
 */
export async function startPhones({ users, listen }, { rate, accounts, wrong }) {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
  socket.bind(users, '127.0.0.1')
  await once(socket, 'listening')
  /** @type {Map<string, Phone>} by Call-ID */
  const waiting = new Map()
  /** @type {Outcome[]} */
  const outcomes = []
  let made = 0

  /** @param {Phone} phone @param {string} text */
  function send(phone, text) {
    phone.text = text
    phone.sent = performance.now()
    phone.again = 0
    socket.send(text, listen, '127.0.0.1')
  }

  /** @param {string} id @param {Phone} phone @param {number} status */
  function finish(id, { asked, password }, status) {
    waiting.delete(id)
    outcomes.push({ asked, at: performance.now(), status, password })
  }

  socket.on('message', (bytes) => {
    const text = bytes.toString('latin1')
    const [, id = ''] = /^Call-ID: (\S+)/im.exec(text) ?? []
    const phone = waiting.get(id)
    const status = Number(text.slice(8, 11))
    if (phone === undefined || status < 200) return
    if (phone.asked === 0 && status === 401) {
      const [, nonce = ''] = /nonce="([^"]*)"/.exec(text) ?? []
      phone.asked = performance.now()
      send(phone, answered(phone, nonce))
    } else if (status !== 401 || / stale=true/i.test(text)) finish(id, phone, status)
  })

  const begin = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    for (const due = ((now - begin) * rate) / 1000; made < due; made++) {
      const name = userName(made % accounts)
      const text = registerText(made, users, name)
      const [, id = ''] = /^Call-ID: (\S+)/m.exec(text) ?? []
      /** @type {Phone} */
      const phone = {
        name,
        password: made % wrong === 0 ? 'wrong' : 'right',
        text,
        sent: 0,
        again: 0,
        asked: 0,
      }
      waiting.set(id, phone)
      send(phone, text)
    }
    for (const [id, phone] of waiting) {
      const age = now - phone.sent
      if (age > GIVE_UP) finish(id, phone, 0)
      else if (age > (AGAIN[phone.again] ?? Infinity)) {
        phone.again++
        socket.send(phone.text, listen, '127.0.0.1')
      }
    }
  }, 5)

  return {
    outcomes,
    /** Sends no more, and waits for what is under way. */
    async stop() {
      clearInterval(timer)
      for (const end = performance.now() + 3000; waiting.size > 0 && performance.now() < end;)
        await new Promise((wake) => setTimeout(wake, 20))
      socket.close()
    },
  }
}
