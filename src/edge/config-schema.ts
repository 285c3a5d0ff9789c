/**
 * Every setting of `edge.toml`: its shape, and what an operator is told of it. The reference in docs/edge.md, the names
 * in messages and the checks all come from here.
 * @module
 */
import { z } from 'zod'
import { ALGORITHMS } from '../xkeys/algorithm.ts'
import { endpoint, kekReference, setting, sides, source, target } from './config-facts.ts'
import { keyringTable } from './config-keyring.ts'
import { usersSchema } from './config-users-schema.ts'

const SIDES = 'template, or `{ sender = "…", receiver = "…" }`'
const SOURCES = 'list of addresses, networks, `address:port`'

/** One agreement. */
export const agreementSchema = z.strictObject({
  header: setting(z.string(), {
    meaning:
      'Name of the header that carries the token. Every header of that name is removed before a token is added and before a message goes to the upstream. A header that SIP itself needs is refused.',
    example: '"X-Auth"',
  }),
  group: setting(z.string(), {
    meaning: 'Key group in the keyring that both ends share (`id` in Kamailio).',
    example: '"trunk-a"',
  }),
  algorithm: setting(z.string(), {
    meaning:
      'How data and key become a token. The `hmac` forms are RFC 2104; the `sha` forms are what Kamailio computes, and are for peers that run it.',
    example: '"hmac-sha256"',
    form: [...ALGORITHMS.keys()].map((name) => `\`${name}\``).join(', '),
  }),
  encoding: setting(z.enum(['hex', 'base64url']).optional(), {
    meaning: 'How a token is written when signing; `base64url` for `hmac` forms only. Both are understood.',
    example: '"hex"',
    otherwise: '`hex`',
  }),
  request: setting(sides().optional(), {
    meaning:
      "Template of requests. A text serves both sides; where an address is in it they differ, because the sender's `$Ri` is the receiver's `$si`. Without it requests to the trunk are not signed, and those from it are refused.",
    example: '{ sender = "$Ri:$fu:$ru:$ci:$hdr(CSeq)", receiver = "$si:$fu:$ru:$ci:$hdr(CSeq)" }',
    form: SIDES,
    otherwise: 'none',
  }),
  response: setting(sides().optional(), {
    meaning:
      'Template of responses; it contains `$rs`. Without it responses to the trunk are not signed, and those from it pass unverified.',
    example: '{ sender = "$Ri:$rs:$fu:$ci:$hdr(CSeq)", receiver = "$si:$rs:$fu:$ci:$hdr(CSeq)" }',
    form: SIDES,
    otherwise: 'none',
  }),
  repeated: setting(z.enum(['reject', 'first']).optional(), {
    meaning: 'A message with two token headers: refused, or the first one counts as in Kamailio.',
    example: '"reject"',
    otherwise: '`reject`',
  }),
  when_missing: setting(z.enum(['null-text', 'fail']).optional(), {
    meaning: 'A pseudo-variable without a value stands as `<null>` as in Kamailio, or there is no token.',
    example: '"fail"',
    otherwise: '`fail` for `hmac` forms, `null-text` for `sha` forms',
  }),
  responses: setting(z.enum(['required', 'if-present', 'off']).optional(), {
    meaning:
      'Responses of the trunk must carry a token; may carry one, which must then be right; or carry none in either direction. 100 and responses to CANCEL always pass without one; a token that is present is always verified.',
    example: '"required"',
    otherwise: '`required` for `hmac` forms, `if-present` for `sha` forms: Kamailio cannot sign its own',
  }),
  max_data: setting(z.int().min(64).max(65_536).optional(), {
    meaning: "Longest text that a template may make of a message; Kamailio's `pv_buffer_size`.",
    example: '8192',
    unit: 'bytes',
    otherwise: '8192',
  }),
})

/** One trunk. */
export const trunkSchema = z.strictObject({
  sources: setting(z.array(source()).min(1), {
    meaning:
      'Where its messages come from. Where several trunks have a source, the one whose token header is in the message is meant, and then the most specific range. No two trunks have the same range and the same header.',
    example: '["192.0.2.10", "192.0.2.16/28", "198.51.100.7:5060", "2001:db8::/64"]',
    form: SOURCES,
  }),
  target: setting(target(), {
    meaning:
      'Where requests for it go. A Request-URI with this address and port, 5060 where it has none, leads to it.',
    example: '"192.0.2.10:5060"',
    form: '`address:port`',
  }),
  agreement: setting(z.string(), {
    meaning: 'Name of the agreement with it. Several trunks may share one.',
    example: '"carrier"',
  }),
  domains: setting(
    z
      .array(
        z
          .string()
          .regex(
            /^(?:[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9][A-Za-z0-9-]*)*|\[[0-9A-Fa-f:.]+\])$/,
            'it must be the host of a Request-URI, without port',
          ),
      )
      .default([]),
    {
      meaning:
        'Hosts of a Request-URI that lead to it, beside its target; letter case does not matter. No two trunks have the same one.',
      example: '["carrier.example"]',
      form: 'list of host names',
    },
  ),
  unsigned: setting(z.enum(['match', 'refuse']).default('match'), {
    meaning:
      'A CANCEL, or the ACK of a failed call, without a token: passed where it matches an accepted INVITE, or refused. A stateful Kamailio makes both itself and cannot sign them.',
    example: '"match"',
  }),
  reaches: setting(z.array(z.string()).default([]), {
    meaning:
      "Names of other trunks that its requests may go to directly. A request whose Request-URI names a domain or the target of one of them goes there, signed by that trunk's agreement; anything else goes to the upstream.",
    example: '["branch"]',
    form: 'list of trunk names',
  }),
})

/** The whole file. */
export const configSchema = z.strictObject({
  keyring: setting(z.union([z.string().min(1), keyringTable]), {
    meaning:
      'Path of the keyring, relative to this file; or `redis://host:6379/0`, where the nodes of a fleet share a sealed one: see [fleet.md](fleet.md). What more is to be said of it stands in the table `[keyring]`.',
    example: '"../keyrings/demo.toml"',
    form: 'path or URL, or the table',
  }),
  strict_keys: setting(z.boolean().default(false), {
    meaning:
      'Refuses weak or published secrets, at the start and when the keyring changes. Always so where a listener is not loopback.',
    example: 'true',
  }),
  state: setting(z.string().min(1).optional(), {
    meaning:
      'Directory, relative to this file, where the node keeps what must outlive it: which key was used when and with whom, and what operators confirmed. Made where it is missing. Without it the evidence that an old key can go is lost at every restart.',
    example: '"/var/lib/xkeys"',
    otherwise: 'none',
  }),
  node: setting(
    z
      .string()
      .regex(
        /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/,
        'a node name is made of letters, digits, dots, - and _, at most 64, and does not begin with a dot',
      )
      .optional(),
    {
      meaning: 'Name of this node in its report. Nodes that share a state directory have names of their own.',
      example: '"edge-1"',
      otherwise: 'the host name',
    },
  ),
  listen: z.strictObject({
    trunk: setting(endpoint(), {
      meaning: 'Where peers send to. A concrete address: it goes into Via, Record-Route and templates.',
      example: '"127.0.0.1:5060"',
      form: '`address:port`',
    }),
    upstream: setting(endpoint(), {
      meaning: 'Where the upstream sends to, on a socket of its own.',
      example: '"127.0.0.1:5062"',
      form: '`address:port`',
    }),
  }),
  upstream: z.strictObject({
    target: setting(target(), {
      meaning: 'The SIP server that requests of the trunks go to, without their token.',
      example: '"127.0.0.1:5080"',
      form: '`address:port`',
    }),
    sources: setting(z.array(source()).min(1).optional(), {
      meaning:
        'Where the messages of the upstream come from. They are believed without a token, and the edge signs what they ask for: list what you trust, nothing else.',
      example: '["127.0.0.1"]',
      form: SOURCES,
      otherwise: "the target's address, any port",
    }),
  }),
  // Needed unless there are users: see config.ts.
  agreements: z.record(z.string(), agreementSchema).optional(),
  trunks: z
    .record(
      z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,64}$/, 'a trunk name is made of letters, digits, - and _, at most 64'),
      trunkSchema,
    )
    .optional(),
  users: usersSchema.optional(),
  kek: z
    .strictObject({
      from: setting(kekReference(), {
        meaning:
          'Where the key-encryption key of a sealed keyring is kept: a file, relative to this one, an environment variable, or a command that prints it, as a JSON array of program and arguments. With this table a keyring that is not sealed is refused.',
        example: '"file:/run/secrets/xkeys-kek"',
        form: '`file:PATH`, `env:NAME` or `command:["program","argument"]`',
      }),
      command_timeout: setting(z.number().min(0.1).max(60).default(10), {
        meaning: 'How long that command may take before it is killed.',
        example: '10',
        unit: 'seconds',
      }),
      sealed_as: setting(z.string().min(1).optional(), {
        meaning:
          'The name that the keyring must be sealed under: the sealed keyring of another system with the same key-encryption key is refused.',
        example: '"trunks"',
        otherwise: 'any',
      }),
    })
    .optional(),
  metrics: z
    .strictObject({
      listen: setting(endpoint(), {
        meaning:
          'TCP address of `/metrics`, `/healthz` and `/readyz` over HTTP. They ask for no password: keep it on loopback or on a management network. Without this table there is none.',
        example: '"127.0.0.1:9464"',
        form: '`address:port`',
      }),
    })
    .optional(),
  log: z
    .strictObject({
      level: setting(z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'), {
        meaning: 'What is logged, as JSON lines on standard output; `debug` writes one for every decision.',
        example: '"info"',
      }),
    })
    .prefault({}),
  limits: z
    .strictObject({
      receive_buffer: setting(
        z
          .int()
          .min(65_536)
          .max(1 << 30)
          .default(4 << 20),
        {
          meaning:
            'Receive buffer asked of the kernel for each socket. It grants at most `net.core.rmem_max`; the line `edge started` and `xkeys_udp_receive_buffer_bytes` say what it granted.',
          example: '4194304',
          unit: 'bytes',
        },
      ),
      drain_timeout: setting(z.number().min(0).max(3600).default(5), {
        meaning: 'How long a stopping edge goes on with what is under way.',
        example: '5',
        unit: 'seconds',
      }),
      refusals_per_second: setting(z.int().min(1).max(100_000).default(50), {
        meaning:
          'Answers of its own to requests that were not accepted that one source address can provoke, on average and at once; more are swallowed and counted. A forged address is so not flooded through the edge.',
        example: '50',
        unit: 'a second',
      }),
      invites: setting(z.int().min(1).max(1_000_000).default(20_000), {
        meaning:
          'Accepted INVITEs of a trunk that are remembered for their CANCEL and ACK. None is forgotten for another: where there is no room a call goes on, but its CANCEL and ACK need a token.',
        example: '20000',
        unit: 'a trunk',
      }),
    })
    .prefault({}),
})
