import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { parseMessage } from '../../src/message/parse.ts'
import type { Endpoint, MessageContext } from '../../src/message/types.ts'
import { compileTemplate } from '../../src/template/compile.ts'
import { defineAgreement } from '../../src/xkeys/agreement.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { describePeers, freePorts, startKamailio, type Running } from '../support/peers.ts'
import { openEnd, type UdpEnd } from './endpoint.ts'
import { GROUP, modparamsOf, ringOf } from './keys.ts'
import { createDice, mutant, spoilToken } from './mutants.ts'

/** `XKEYS_FUZZ_SEED=… XKEYS_FUZZ_COUNT=…` look further than the fixed run. */
const FIRST_SEED = Number(process.env['XKEYS_FUZZ_SEED'] ?? 1)
const COUNT = Number(process.env['XKEYS_FUZZ_COUNT'] ?? 2000)
/** Messages under way at once: few enough for the socket's buffer. */
const BATCH = 10

const EXPRESSIONS = `
  $ru $ou $rU $rd $rp $rP $rm $rs $rr $fu $fU $fd $fn $ft $tu $tU $td $tn $tt $ci $cs $csb $ua $ct $cT
  $cl $ai $rb $hdr(CSeq) $hdr(From) $hdr(Call-ID) $hdr(X-Test) $(hdr(X-Test)[1]) $(hdr(X-Test)[-1])
  $(hdr(X-Test)[*]) $hdrc(X-Test) $hdr(Subject) $(fu{uri.user}) $(fu{uri.host}) $(fu{uri.port})
  $(ru{uri.params}) $(tu{uri.param,transport}) $(hdr(From){nameaddr.uri}) $(hdr(To){tobody.tag})
  $(hdr(X-Test){param.value,x}) $(hdr(X-Test){s.trim}) $(rb{s.sha256})
`
  .trim()
  .split(/\s+/)

const TEMPLATE = '$fu:$tu:$ru:$ci:$hdr(CSeq):$hdr(X-Test)'
const AGREEMENT = { header: 'X-Auth', group: GROUP, algorithm: 'sha256', repeated: 'first' } as const
const agreements = {
  request: defineAgreement({ ...AGREEMENT, request: TEMPLATE }),
  response: defineAgreement({ ...AGREEMENT, response: TEMPLATE }),
}
const keyring = ringOf('newest')
const signers = {
  request: createSigner({ agreement: agreements.request, keyring }),
  response: createSigner({ agreement: agreements.response, keyring }),
}
const verifiers = {
  request: createVerifier({ agreement: agreements.request, keyring }),
  response: createVerifier({ agreement: agreements.response, keyring }),
}
const compiled = EXPRESSIONS.map((source) => compileTemplate(source))

/** Where the two are known to differ, in messages that nobody sends. Nothing else may differ. */
const KNOWN: readonly (readonly [reason: string, pattern: RegExp])[] = [
  ['a CR without LF: Kamailio takes it for the end of From and To, and of nothing else', /\r(?!\n)/],
  [
    'a bare PAI address that a fold cuts in two: Kamailio takes the first part',
    /^P-Asserted-Identity[ \t]*:\s*[^<,;]*[^\s<,;]\s*\r?\n[ \t]+[^\s,;]/im,
  ],
  ['a transport in Via that is a known one but for its first letter', /\/\s*(?!UDP)\w?DP\s/i],
  ['a NUL behind the parameters of To, with text behind it', /^(?:To|t)[ \t]*:[^\n]*\0/im],
  ['a port above 65535 in Via', /^(?:Via|v)[ \t]*:[^\n]*:(?:6[6-9]|[7-9]\d)\d{3}\b/im],
]

/** What is seen of a message: `check` and the values, or nothing where it was dropped. */
type Sight = Readonly<Record<string, string>> | undefined

/** A message of a seed with a token, ours where we can make one. */
function sample(seed: number, kamailio: Endpoint, end: Endpoint): Buffer {
  const path = { proxy: `${kamailio.address}:${kamailio.port}`, back: `${end.address}:${end.port}` }
  const bytes = mutant(seed, path)
  const parsed = parseMessage(bytes, { tolerance: 'kamailio' })
  if (!parsed.ok) return bytes
  const { message } = parsed
  const result = signers[message.kind].sign({ message, transport: 'udp', source: end, local: kamailio })
  if (!result.ok) return bytes
  const signed = editHeaders(bytes, { add: [['X-Auth', result.token]] })
  const dice = createDice(seed ^ 0x5eed)
  if (dice.chance(75)) return signed
  const text = signed.toString('latin1')
  return Buffer.from(
    text.replace(result.token, () => spoilToken(dice, result.token)),
    'latin1',
  )
}

function ours(bytes: Buffer, source: Endpoint, local: Endpoint): Sight {
  const parsed = parseMessage(bytes, { tolerance: 'kamailio' })
  if (!parsed.ok) return undefined
  const { message } = parsed
  const context: MessageContext = { message, transport: 'udp', source, local }
  const sight: Record<string, string> = {
    check: verifiers[message.kind].verify(context).ok ? 'yes' : 'no',
  }
  for (const [index, template] of compiled.entries()) {
    const expanded = template.expand(context)
    sight[EXPRESSIONS[index]!] = expanded.ok ? expanded.data.toString('latin1') : 'missing'
  }
  return sight
}

/** What differs, for people to read. */
function compare(here: Sight, there: Sight): string[] {
  if (here === undefined || there === undefined) {
    return here === there
      ? []
      : [`${here ? 'accepted' : 'dropped'} here, ${there ? 'accepted' : 'dropped'} there`]
  }
  return ['check', ...EXPRESSIONS].flatMap((what) =>
    here[what] === there[what]
      ? []
      : [`${what} is ${JSON.stringify(here[what])} here, ${JSON.stringify(there[what])} there`],
  )
}

/** Each value in hexadecimal, on a line of the log: a reply would not come from every message. */
const REPORT = EXPRESSIONS.map((source) => `$(_s(${source}){s.encode.hexa})`).join('|')
const END = 'fence-'

describePeers('kamailio and we see the same', ['kamailio'], () => {
  let end: UdpEnd
  let kamailio: Endpoint
  let server: Running

  beforeAll(async () => {
    const [a, b] = await freePorts(2)
    end = await openEnd({ address: '127.0.0.1', port: a! })
    kamailio = { address: '127.0.0.2', port: b! }
    const look = `
if (auth_xkeys_check("X-Auth", "${GROUP}", "sha256", "${TEMPLATE}")) { $var(check) = "yes"; } else { $var(check) = "no"; }
xlog("L_ERR", "sight|$var(check)|${REPORT}|\\n");
`
    server = await startKamailio(`listen=udp:${kamailio.address}:${kamailio.port}
auto_aliases=no
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "textops.so"
loadmodule "xlog.so"
loadmodule "auth_xkeys.so"
modparam("xlog", "buf_size", 60000)
${modparamsOf('newest')}
request_route {
if ($ci =~ "^${END}") { xlog("L_ERR", "$ci|\\n"); exit; }
if ($ci =~ "^probe-") { sl_send_reply("200", "OK"); exit; }
${look}
}
onreply_route {
${look}
drop;
}
`)
  })
  afterAll(async () => {
    await server?.stop()
    end?.close()
  })

  let read = 0
  /** Sends messages, each with a fence behind it, and reads from the log what Kamailio made of each. */
  async function theirs(batch: readonly Buffer[], first: number): Promise<Sight[]> {
    for (const [index, bytes] of batch.entries()) {
      end.send(bytes, kamailio)
      end.send(fence(first + index), kamailio)
    }
    const last = `${END}${first + batch.length - 1}|\n`
    for (const until = Date.now() + 5000; !server.output().includes(last, read); await sleep(2)) {
      if (Date.now() > until) throw new Error(`kamailio fell silent:\n${server.output().slice(-2000)}`)
    }
    const log = server.output().slice(read)
    read += log.length
    return batch.map((_, index) => {
      const start = index === 0 ? 0 : log.indexOf(`${END}${first + index - 1}|`)
      const part = log.slice(start, log.indexOf(`${END}${first + index}|`))
      const fields = /sight\|(.*)\|$/m.exec(part)?.[1]?.split('|')
      if (fields === undefined) return undefined
      const values = fields.slice(1).map((hex) => Buffer.from(hex, 'hex').toString('latin1'))
      return {
        check: fields[0]!,
        ...Object.fromEntries(EXPRESSIONS.map((source, i) => [source, values[i]!])),
      }
    })
  }

  function fence(id: number): Buffer {
    const { address, port } = end.local
    const lines = [
      'OPTIONS sip:fence@a.example SIP/2.0',
      `Via: SIP/2.0/UDP ${address}:${port};branch=z9hG4bKfence${id}`,
      'From: <sip:fence@a.example>;tag=1',
      'To: <sip:fence@a.example>',
      `Call-ID: ${END}${id}`,
      'CSeq: 1 OPTIONS',
    ]
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
  }

  it(`kamailio, ${COUNT} messages: acceptance, ${EXPRESSIONS.length} expressions and the check of a token`, async () => {
    const faults: string[] = []
    const known: Record<string, number> = {}
    const counts = { accepted: 0, dropped: 0, valid: 0, values: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT; seed += BATCH) {
      const batch = Array.from({ length: BATCH }, (_, index) => sample(seed + index, kamailio, end.local))
      const seen = await theirs(batch, seed)
      for (const [index, bytes] of batch.entries()) {
        const [here, there] = [ours(bytes, end.local, kamailio), seen[index]]
        if (there === undefined) counts.dropped++
        else counts.accepted++
        if (there?.['check'] === 'yes') counts.valid++
        const found = compare(here, there)
        if (here !== undefined && there !== undefined) counts.values += EXPRESSIONS.length
        if (found.length === 0) continue
        const text = bytes.toString('latin1')
        const reason = KNOWN.find(([, pattern]) => pattern.test(text))?.[0]
        if (reason === undefined)
          faults.push(`seed ${seed + index}: ${found.join('; ')}\n${JSON.stringify(text)}`)
        else known[reason] = (known[reason] ?? 0) + 1
      }
    }
    console.log(
      `kamailio: ${counts.accepted} accepted, ${counts.dropped} dropped, ${counts.values} values, ${counts.valid} valid tokens, known differences ${JSON.stringify(known)}`,
    )
    expect(faults).toEqual([])
    expect(Object.values(known).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(COUNT / 100)
    expect(counts.accepted).toBeGreaterThan(COUNT / 3)
    expect(counts.valid).toBeGreaterThan(COUNT / 4)
  }, 60_000)
})
