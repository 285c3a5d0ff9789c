import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { folderWith } from '../support/folder.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { parseTranscript } from '../support/transcript.ts'
import { repositoryFile, xkeys } from '../support/xkeys.ts'

const EDGE = `keyring = "keys.toml"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[agreements.main]
header = "X-Auth"
group = "gw"
algorithm = "sha256"
request = "$rm:$ru"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
`
const key = (name: string, line: string): string => `[[groups.gw.keys]]\nname = "${name}"\n${line}\n`
const KEYS = key('a', `value = "${SECRETS.old}"`) + key('b', `value = "${SECRETS.new}"`)
const MESSAGE =
  'OPTIONS sip:b SIP/2.0\r\nv: SIP/2.0/UDP a\r\nf: <sip:a>;tag=1\r\nt: <sip:b>\r\ni: x\r\nCSeq: 1 OPTIONS\r\n\r\n'

/** Whether the text shows a secret, whole or in part, plain, in hex or in base64. */
function shows(text: string): readonly string[] {
  return Object.values(SECRETS).flatMap((secret) => {
    const bytes = Buffer.from(secret)
    const forms = [secret, secret.slice(4, 20), bytes.toString('hex'), bytes.toString('base64').slice(0, 40)]
    return forms.filter((form) => text.includes(form))
  })
}

const place = (): string =>
  folderWith({
    'edge.toml': EDGE,
    'keys.toml': KEYS,
    'a.sip': MESSAGE,
    // Every way to put a secret where it does not belong.
    'slips.toml': [
      key('a', `valeu = "${SECRETS.old}"`),
      key('b', `value_hex = "${SECRETS.new}"`),
      key('c', `value_base64 = "${SECRETS.other}"`),
      key('d', `value_file = "${SECRETS.old}"`),
      key('e', `value_env = "${SECRETS.new}"`),
      key('f', `value = "${SECRETS.other}"\nvalue_hex = "${SECRETS.other}"`),
      key('g', `value = "${SECRETS.old}"\nexpires = "${SECRETS.old}"`),
    ].join(''),
    'syntax.toml': `[[groups.gw.keys]]\nname = "a"\nvalue = "${SECRETS.old}\n`,
    'slips.cfg': `modparam("auth_xkeys", "xkey", "id=a;value=${SECRETS.old}")\nid=a;name=b;value="${SECRETS.new}'\n`,
  })

describe('a secret', () => {
  it.each([
    'keyring list slips.toml',
    'keyring list syntax.toml',
    'keyring import-kamailio slips.cfg',
    'check --config edge.toml',
    'sign --config edge.toml --json a.sip',
    'check --config keys.toml',
  ])('is never shown by xkeys %s', async (command) => {
    const { stdout, stderr } = await xkeys(command.split(' '), { cwd: place() })
    expect(stdout + stderr).not.toBe('')
    expect(shows(stdout + stderr)).toEqual([])
  })

  it.each([
    ['keyring export-kamailio keys.toml --reveal', [SECRETS.old, SECRETS.new]],
    ['keyring import-kamailio kamailio.cfg', [SECRETS.other]],
  ])('is shown where that is the purpose: xkeys %s', async (command, secrets) => {
    const cwd = folderWith({ 'keys.toml': KEYS, 'kamailio.cfg': `id=gw;name=k;value=${SECRETS.other}\n` })
    const { stdout, stderr } = await xkeys(command.split(' '), { cwd })
    for (const secret of secrets) expect(stdout).toContain(secret)
    expect(shows(stderr)).toEqual([])
  })

  it('is in no other line of the transcripts', () => {
    const names = readdirSync(new URL('transcripts/', import.meta.url))
    const telling = names
      .flatMap((name) => parseTranscript(repositoryFile(`test/cli/transcripts/${name}`)).steps)
      .filter(({ stdout, stderr }) => /xks_|hush/.test([...stdout, ...stderr].join('\n')))
      .map(({ args }) => args.join(' '))
    expect(
      telling.filter((command) => !/--reveal|^key generate|^keyring import-kamailio/.test(command)),
    ).toEqual([])
  })

  it('is new each time', async () => {
    const { stdout } = await xkeys(['key', 'generate', '--count', '50'], { cwd: '.' })
    expect(new Set(stdout.split('\n')).size).toBe(51)
  })
})
