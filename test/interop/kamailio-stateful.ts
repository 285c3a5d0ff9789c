/**
 * The documented Kamailio with its transaction module: it answers 100, makes CANCEL and the ACK of a failure itself
 * (which it cannot sign), and sends again what gets no answer.
 */

/** `kamailio.cfg` of docs/kamailio.md, relaying by transaction. @param ringing longest time until the call is answered, seconds */
export function stateful(config: string, ringing = 120): string {
  const [head, ...rest] = config.split('loadmodule "rr.so"\n')
  if (rest.length !== 1 || !config.includes('forward();')) throw new Error('the configuration has changed')
  const milliseconds = ringing * 1000
  return [
    head,
    'loadmodule "tm.so"\nloadmodule "rr.so"\n',
    `modparam("tm", "fr_inv_timer", ${milliseconds})\nmodparam("tm", "max_inv_lifetime", ${milliseconds + 60_000})\n`,
    rest[0]!.replaceAll('forward();', 'if (!t_relay()) sl_reply_error();'),
  ].join('')
}
