/**
 * Kamailio as a client (its module uac), such as a company's PBX with a line at a carrier: it registers the line, and
 * answers the challenges of the calls that its extension makes. It knows MD5.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Endpoint } from '../../src/message/types.ts'
import { startKamailio, tempFolder, type Running } from '../support/peers.ts'

/** Whose line it is and where. */
export interface UacOptions {
  readonly local: Endpoint
  readonly edge: Endpoint
  readonly username: string
  readonly password: string
  /** Who calls through it and is called. */
  readonly extension: Endpoint
}

const COLUMNS = [
  'id(int,auto) l_uuid(string) l_username(string) l_domain(string) r_username(string) r_domain(string)',
  'realm(string) auth_username(string) auth_password(string) auth_ha1(string,null) auth_proxy(string)',
  'expires(int) flags(int) reg_delay(int) contact_addr(string) socket(string,null)',
].join(' ')

/** The table `uacreg` as module db_text reads it: a colon ends a field. */
function registrations({ local, edge, username, password }: UacOptions): string {
  const colon = String.raw`\:`
  const fields = [
    '1:line',
    [username, 'example.org', username, 'example.org', 'example.org', username, password, ''].join(':'),
    `sip${colon}${edge.address}${colon}${edge.port}`,
    '300:0:0',
    `${local.address}${colon}${local.port}`,
    '',
  ]
  return `${COLUMNS}\n${fields.join(':')}\n`
}

const config = ({ local, edge, username, password, extension }: UacOptions, folder: string): string =>
  `listen=udp:${local.address}:${local.port}
auto_aliases=no
loadmodule "jsonrpcs.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "db_text.so"
loadmodule "uac.so"
modparam("jsonrpcs", "transport", 0)
modparam("uac", "reg_db_url", "text://${folder}")
modparam("uac", "reg_contact_addr", "${local.address}:${local.port}")
modparam("uac", "reg_timer_interval", 1)
modparam("uac", "default_socket", "udp:${local.address}:${local.port}")
modparam("uac", "auth_realm_avp", "$avp(realm)")
modparam("uac", "auth_username_avp", "$avp(user)")
modparam("uac", "auth_password_avp", "$avp(password)")
request_route {
  if (!mf_process_maxfwd_header("70")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route() || (is_method("ACK") && t_check_trans())) t_relay();
    exit;
  }
  record_route();
  # Where the carrier calls.
  if ($rU == "line") {
    $du = "sip:${extension.address}:${extension.port}";
    t_relay();
    exit;
  }
  $avp(realm) = "example.org";
  $avp(user) = "${username}";
  $avp(password) = "${password}";
  $du = "sip:${edge.address}:${edge.port}";
  t_on_failure("AUTH");
  t_relay();
}
failure_route[AUTH] {
  if (t_check_status("401|407") && uac_auth()) t_relay();
}
`

/** Starts it; it registers at once. */
export function startUac(options: UacOptions): Promise<Running> {
  const folder = tempFolder()
  writeFileSync(join(folder, 'uacreg'), registrations(options))
  writeFileSync(join(folder, 'version'), 'table_name(string) table_version(int)\nuacreg:5\n')
  return startKamailio(config(options, folder))
}
