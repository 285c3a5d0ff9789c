/**
 * The upstream of an edge with users: a Kamailio that keeps their bindings with the Path (RFC 3327), calls them by it,
 * and passes other calls to a service. It believes the edge, and asks nobody for a password.
 */
import type { Endpoint } from '../../src/message/types.ts'
import { startKamailio, type Running } from '../support/peers.ts'
import { headerOf, openEnd } from './endpoint.ts'

/** Where a user is bound. */
export interface Binding {
  readonly contact: string
  /** Route entries between here and there. */
  readonly path: string
}

/** A running registrar. */
export interface Registrar extends Running {
  readonly local: Endpoint
  /** The binding of a user of example.org; undefined where there is none. */
  bindingOf(user: string): Promise<Binding | undefined>
}

/** Who may be called beside the users. */
export const SERVICE = 'service'

const config = (local: Endpoint, service: Endpoint): string => `listen=udp:${local.address}:${local.port}
auto_aliases=no
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("usrloc", "use_domain", 1)
modparam("registrar", "use_path", 1)
modparam("registrar", "gruu_enabled", 0)
# The telephone knows nothing of the Path that the edge adds for it.
modparam("registrar", "path_mode", 0)
request_route {
  if (!mf_process_maxfwd_header("70")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_present_hf("Authorization") || is_present_hf("Proxy-Authorization")) {
    sl_send_reply("480", "Credentials came through");
    exit;
  }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route() || (is_method("ACK") && t_check_trans())) t_relay();
    else if (!is_method("ACK")) sl_send_reply("481", "Call/Transaction Does Not Exist");
    exit;
  }
  t_check_trans();
  if (is_method("REGISTER")) { if (!save("location")) sl_reply_error(); exit; }
  # The test asks where somebody is.
  if (is_method("OPTIONS")) {
    if (!reg_fetch_contacts("location", "$ru", "asked")) { sl_send_reply("404", "Not Found"); exit; }
    append_to_reply("X-Contact: $(ulc(asked=>addr))\\r\\nX-Path: $(ulc(asked=>path))\\r\\n");
    sl_send_reply("200", "OK");
    exit;
  }
  record_route();
  if ($rU == "${SERVICE}") $du = "sip:${service.address}:${service.port}";
  else if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
  t_relay();
}
`

/** Starts it. @param service where calls of `SERVICE` go */
export async function startRegistrar(local: Endpoint, service: Endpoint): Promise<Registrar> {
  const kamailio = await startKamailio(config(local, service))
  let asked = 0
  return {
    ...kamailio,
    local,
    async bindingOf(user) {
      const end = await openEnd({ address: '127.0.0.1', port: 0 })
      try {
        const id = `where-${asked++}`
        const lines = [
          `OPTIONS sip:${user}@example.org SIP/2.0`,
          `Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK${id};rport`,
          'Max-Forwards: 70',
          'From: <sip:test@127.0.0.1>;tag=t',
          `To: <sip:${user}@example.org>`,
          `Call-ID: ${id}`,
          'CSeq: 1 OPTIONS',
          'Content-Length: 0',
        ]
        end.send(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), local)
        const back = await end.next(5000)
        if (back === undefined) throw new Error(`the registrar does not answer:\n${kamailio.output()}`)
        const contact = headerOf(back.text, 'X-Contact')
        if (contact === undefined) return undefined
        return { contact, path: headerOf(back.text, 'X-Path') ?? '' }
      } finally {
        end.close()
      }
    },
  }
}
