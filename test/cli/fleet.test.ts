import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { viewFleet } from '../../src/keyring/fleet.ts'
import type { Heartbeat } from '../../src/keyring/keyring-store.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { resealKeyring, sealKeyring } from '../../src/keyring/seal.ts'
import { fleetPlace, NAME, RING, sealedRing, type FleetPlace } from '../support/fleet.ts'
import { describePeers } from '../support/peers.ts'
import { KEK_BYTES, OTHER_KEK, shown, SOURCE } from '../support/sealed.ts'
import { MANY } from '../support/key-place.ts'
import { splitCommand } from '../support/transcript.ts'
import { xkeys } from '../support/xkeys.ts'

const until = (check: () => Promise<void> | void): Promise<void> =>
  vi.waitFor(check, { timeout: 15_000, interval: 30 })

/** Two nodes that have told of themselves. */
async function withNodes(place: FleetPlace): Promise<FleetPlace> {
  await Promise.all([place.node('n1'), place.node('n2')])
  await until(async () => {
    const nodes = viewFleet(await place.store.heartbeats(), 'unknown')
    expect(nodes.map(({ status }) => status)).toEqual(['current', 'current'])
  })
  return place
}

/** A node that is not there, as it might tell of itself. */
function heartbeat(node: string, more: Partial<Heartbeat> = {}, ahead = 0): Heartbeat {
  const now = new Date(Date.now() + ahead)
  const report = { node, at: now, since: now, keys: [], groups: [], uses: [], revision: 1 }
  return { report, keyring: 'aaaaaaaa', version: '0.0.1', ...more }
}

/** What a node told that has been gone for a while. */
function tellOfOld(node: string): Heartbeat {
  const beat = heartbeat(node)
  return { ...beat, report: { ...beat.report, at: new Date(Date.now() - 60_000) } }
}

const stored = async ({ store }: FleetPlace): Promise<string> => {
  const found = await store.read()
  if (found === 'empty') throw new Error(found)
  return found.text
}
const ringOf = async (place: FleetPlace) => parseKeyring(await stored(place), { kek: SOURCE })

describePeers('keys of a shared keyring', ['redis-server'], () => {
  it('are changed for all nodes, which acknowledge it', MANY, async () => {
    const place = await withNodes(await fleetPlace())
    const done = /^acknowledged by n1, n2 in \d\.\d\d s$/m
    const added = await place.run('key add CONFIG --group gw --name k3')
    expect(added).toMatchObject({ stderr: '', exit: 0 })
    expect(added.stdout).toMatch(/^added key k3 to group gw: pending, fingerprint [0-9a-f]{8}\n/)
    expect(added.stdout).toMatch(done)
    const revoked = await place.run('key revoke k2 CONFIG --group gw')
    expect(revoked).toMatchObject({ stderr: '', exit: 0 })
    expect(revoked.stdout).toMatch(done)
    const found = await place.store.heartbeats()
    expect([...found.values()]).toMatchObject([{ report: { revision: 3 } }, { report: { revision: 3 } }])
    const told = JSON.parse((await place.run('key revoke k3 CONFIG --group gw --json')).stdout) as object
    expect(told).toMatchObject({
      name: 'k3',
      state: 'revoked',
      acknowledgement: { revision: 4, acknowledged: ['n1', 'n2'], missing: [] },
    })
    // Again: nothing is changed, and still everybody has it.
    expect((await place.run('key revoke k3 CONFIG --group gw')).stdout).toMatch(done)
    expect((await ringOf(place)).revision).toBe(4)
    const lines = (await place.run('fleet audit CONFIG --count 3')).stdout
    const audit = lines
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    expect(audit).toMatchObject([
      { command: 'key add', key: 'k3', revision: 2 },
      { command: 'key revoke', key: 'k2', revision: 3 },
      { command: 'key revoke', key: 'k3', revision: 4 },
    ])
    expect(shown(lines + (await stored(place)))).toEqual([])
  })

  it('by --keyring with a URL, too', async () => {
    const place = await fleetPlace()
    const url = `--keyring ${place.redis.url} --keyring-name ${NAME} --kek file:kek`
    const { stdout, exit } = await place.run(`key revoke k2 ${url} --group gw`)
    expect([stdout, exit]).toEqual([
      expect.stringMatching(
        /^key k2 of group gw is revoked.*\nno node has told of itself: none was waited for\n$/,
      ),
      0,
    ])
    expect((await place.run(`key list ${url}`)).stdout).toMatch(/^gw {2}k2 {2}revoked {2}/m)
  })

  it('stay where they were revoked: prune keeps them, and says so', MANY, async () => {
    const ended = RING.replace('9999-12-31T23:59:59Z', '2026-02-01T00:00:00Z\nexpires = 2026-03-01T00:00:00Z')
    const place = await fleetPlace({
      text: sealedRing(
        `${ended}\n${RING.replaceAll('k1', 'k3').replaceAll('k2', 'k4').replaceAll('xks_', 'xks_other_')}`,
      ),
    })
    expect((await place.run('key revoke k3 CONFIG --group gw')).exit).toBe(0)
    const { stdout, exit } = await place.run('key prune CONFIG')
    expect(exit).toBe(0)
    expect(stdout).toMatch(/^pruned {2}gw {2}k2 {2}expired/)
    expect(stdout).toContain(
      'kept k3 of gw: a revoked key stays in a shared keyring, so that no copy brings it back\n',
    )
    expect((await ringOf(place)).keys('gw').map(({ name }) => name)).toEqual(['k1', 'k3', 'k4'])
    const again = JSON.parse((await place.run('key prune CONFIG --json')).stdout) as object
    expect(again).toMatchObject({ pruned: [], kept: [{ name: 'k3' }], acknowledgement: { missing: [] } })
  })

  it('take every change of operators who are at it at the same time', MANY, async () => {
    const place = await fleetPlace()
    const names = ['a', 'b', 'c', 'd']
    const outcomes = await Promise.all(
      names.map((name) => place.run(`key add CONFIG --group gw --name ${name} --json`)),
    )
    expect(outcomes.map(({ stderr, exit }) => [stderr, exit])).toEqual(names.map(() => ['', 0]))
    const ring = await ringOf(place)
    expect(
      ring
        .keys('gw')
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual([...names, 'k1', 'k2'])
    expect(ring.revision).toBe(1 + names.length)
  })

  it('are sealed anew with another key-encryption key', MANY, async () => {
    const place = await fleetPlace()
    const { stdout, exit } = await place.run('seal CONFIG --kek file:two --old-kek file:kek')
    expect([stdout.split('\n')[0], exit]).toEqual([
      `sealed as "trunks", revision 2, with ${OTHER_KEK.id}: 2 keys`,
      0,
    ])
    expect(await place.run('unseal CONFIG --kek file:two')).toMatchObject({
      stderr: 'xkeys: a shared keyring stays sealed: xkeys fleet export gives a copy that can be unsealed\n',
      exit: 2,
    })
    expect((await place.run('key list CONFIG')).exit).toBe(78)
  })

  it('are shown only with a line in the audit', async () => {
    const place = await fleetPlace()
    const { stdout, exit } = await place.run('key show k1 CONFIG --group gw --reveal')
    expect([shown(stdout).length > 0, exit]).toEqual([true, 0])
    const [line = ''] = (await place.store.audit(1)).slice(-1)
    expect(JSON.parse(line)).toMatchObject({ command: 'key show', key: 'k1', revealed: true })
    expect(shown(line)).toEqual([])
  })
})

describePeers('nodes that have not a change', ['redis-server'], () => {
  it('are named with the reason, exit 1', MANY, async () => {
    const place = await withNodes(await fleetPlace())
    const { store } = place
    await store.beat(heartbeat('refuser', { refuses: 'kek' }))
    await store.beat(heartbeat('laggard'))
    const { report } = heartbeat('gone')
    await store.beat({ ...heartbeat('gone'), report: { ...report, stopped: report.at } })
    const { stdout, stderr, exit } = await place.run('key revoke k2 CONFIG --group gw --wait 0.3')
    expect(stdout).toMatch(/^acknowledged by n1, n2 in \d\.\d\d s$/m)
    expect(stderr.trim().split('\n')).toEqual([
      'xkeys: not acknowledged: gone is silent, had revision 1; where it is gone for good, xkeys fleet forget gone',
      'xkeys: not acknowledged: laggard is behind, had revision 1',
      'xkeys: not acknowledged: refuser refuses it: kek, had revision 1; its log says more',
    ])
    expect(exit).toBe(1)
    expect((await ringOf(place)).keyState({ group: 'gw', name: 'k2' }, new Date())).toBe('revoked')
    const json = await place.run('key revoke k2 CONFIG --group gw --wait 0 --json')
    expect(json.exit).toBe(1)
    expect(JSON.parse(json.stdout)).toMatchObject({
      acknowledgement: {
        acknowledged: ['n1', 'n2'],
        missing: [
          { node: 'gone', status: 'silent' },
          { node: 'laggard', status: 'behind', revision: 1 },
          { node: 'refuser', status: 'refusing', refuses: 'kek' },
        ],
      },
    })
  })

  it('or whose clock is behind, so that the key counts there still', MANY, async () => {
    const place = await fleetPlace()
    const text = await stored(place)
    const { keyring } = await keyringFacts(text)
    await place.store.beat(heartbeat('slow', { keyring }, -60_000))
    const { stderr, exit } = await place.run('key prune CONFIG --wait 0')
    expect(stderr).toBe(
      "xkeys: not acknowledged: slow has it, but its clock is 60 s behind this machine's: a key that has ended counts there until then\n",
    )
    expect(exit).toBe(1)
  })
})

async function keyringFacts(text: string): Promise<{ readonly keyring: string }> {
  const { keyringFingerprint } = await import('../../src/keyring/fleet.ts')
  return { keyring: keyringFingerprint(parseKeyring(text, { kek: SOURCE })) }
}

describePeers('xkeys rotate on a shared keyring', ['redis-server'], () => {
  const ON = 'CONFIG --group gw'

  it('goes by what nodes tell, and waits for them', MANY, async () => {
    const one = RING.slice(0, RING.indexOf('\n\n') + 1)
    const place = await withNodes(await fleetPlace({ text: sealedRing(one) }))
    const start = await place.run(`rotate start ${ON} --name next`)
    expect(start).toMatchObject({ stderr: '', exit: 0 })
    expect(start.stdout).toMatch(
      /next: hand next to every peer \(xkeys fleet export --out sealed\.toml, xkeys keyring export-kamailio sealed\.toml --group gw --reveal\)/,
    )
    expect(start.stdout).toMatch(/^acknowledged by n1, n2 in /m)
    await until(async () => {
      const { stdout } = await place.run(`rotate status ${ON} --json`)
      expect(JSON.parse(stdout)).toMatchObject({
        state: 'started',
        nodes: [
          { node: 'n1', status: 'current', holds: ['k1', 'next'] },
          { node: 'n2', status: 'current', holds: ['k1', 'next'] },
        ],
        fleet: [
          { node: 'n1', status: 'current', revision: 2 },
          { node: 'n2', status: 'current', revision: 2 },
        ],
      })
    })
    expect((await place.run(`rotate promote ${ON}`)).stderr).toContain(
      'peer carrier is not known to hold next',
    )
    expect((await place.run(`rotate confirm carrier ${ON}`)).exit).toBe(0)
    // A node that cannot be asked stops everything.
    await place.store.beat(heartbeat('n3'))
    const refused = await place.run(`rotate promote ${ON}`)
    expect(refused).toMatchObject({ stdout: '', exit: 1 })
    expect(refused.stderr).toContain('node n3 does not hold next')
    await place.store.beat(tellOfOld('n3'))
    expect((await place.run(`rotate promote ${ON}`)).stderr).toMatch(
      /node n3 is silent: .*; where it is gone for good, xkeys fleet forget n3$/m,
    )
    await place.store.forget('n3')
    const promoted = await place.run(`rotate promote ${ON}`)
    expect(promoted).toMatchObject({ stderr: '', exit: 0 })
    expect(promoted.stdout).toMatch(/^acknowledged by n1, n2 in /m)
    const commands = (await place.store.audit(10)).map(
      (line) => (JSON.parse(line) as { command: string }).command,
    )
    expect(commands).toEqual(['test', 'rotate start', 'rotate confirm', 'rotate promote'])
    const aborted = JSON.parse((await place.run(`rotate abort ${ON} --json`)).stdout) as object
    expect(aborted).toMatchObject({ ok: true, acknowledgement: { acknowledged: ['n1', 'n2'], missing: [] } })
  })

  it('shows where nodes differ, and whose clock is off', MANY, async () => {
    const place = await withNodes(await fleetPlace())
    await place.store.beat(heartbeat('n3', { refuses: 'seal' }, 7000))
    const { stdout } = await place.run(`rotate status ${ON}`)
    expect(stdout).toMatch(/^n1 {4}current {3}1 {9}[0-9a-f]{8} {2}\d\.\d s ago {2}[+-]0\.\d s {2}test {5}-$/m)
    expect(stdout).toMatch(
      /^n3 {4}refusing {2}1 {9}aaaaaaaa {2}\d\.\d s ago {2}\+7\.\d s {2}0\.0\.1 {4}seal$/m,
    )
    expect(stdout).toMatch(/^clock of n3 is 7\.\d s ahead of the store's, more than 5 s: /m)
  })
})

describePeers('xkeys fleet', ['redis-server'], () => {
  it('seed fills an empty store, and nothing else', MANY, async () => {
    const place = await fleetPlace({ text: '' })
    writeFileSync(join(place.folder, 'plain.toml'), RING, { mode: 0o600 })
    const ring = sealedRing()
    const other = resealKeyring(ring, ring, SOURCE)
    writeFileSync(join(place.folder, 'other.toml'), other)
    writeFileSync(join(place.folder, 'theirs.toml'), sealKeyring(RING, { kek: OTHER_KEK, keyring: NAME }))
    writeFileSync(
      join(place.folder, 'named.toml'),
      sealKeyring(RING, { kek: SOURCE.find(kekId(other))!, keyring: 'x' }),
    )
    const fails = async (file: string): Promise<string> => {
      const { stdout, stderr, exit } = await place.run(`fleet seed ${file} CONFIG`)
      expect([stdout, exit]).toEqual(['', 78])
      return stderr
    }
    expect(await fails('plain.toml')).toBe(
      'xkeys: plain.toml: it is not sealed, and only sealed text leaves this machine: xkeys seal does that\n',
    )
    expect(await fails('theirs.toml')).toContain('seal.kek: it is sealed with another key-encryption key')
    expect(await fails('named.toml')).toContain('the keyring here must be the one sealed as "trunks"')
    expect(await place.store.read()).toBe('empty')

    const seeded = await place.run('fleet seed ring.toml CONFIG')
    expect(seeded).toMatchObject({ stderr: '', exit: 0 })
    expect(seeded.stdout).toContain('"trunks", revision 1, is stored: trunks in redis://127.0.0.1:')
    expect((await place.run('fleet seed ring.toml CONFIG')).stdout).toContain('revision 1, is there already')
    expect(await place.run('fleet seed other.toml CONFIG')).toMatchObject({
      stdout: '',
      stderr: expect.stringContaining('there is a keyring, revision 1') as string,
      exit: 1,
    })
    const exported = await place.run('fleet export CONFIG')
    expect(exported.stdout).toBe(readFileSync(join(place.folder, 'ring.toml'), 'utf8'))
  })

  it('seed brings back what was lost from a node that has it, and not what is older', MANY, async () => {
    const place = await fleetPlace({ text: sealedRing(RING, 4) })
    await place.node('n1')
    expect((await place.run('fleet export CONFIG --out old.toml')).exit).toBe(0)
    expect((await place.run('key revoke k2 CONFIG --group gw')).exit).toBe(0)
    await place.redis.client().flushall()
    await until(async () => expect((await place.store.heartbeats()).size).toBe(1))
    const older = await place.run('fleet seed old.toml CONFIG')
    expect(older).toMatchObject({ stdout: '', exit: 1 })
    expect(older.stderr).toContain(
      'n1 has revision 5 in force, and this is revision 4: seed its local copy, n1.keyring.toml in its state directory, or see what --force does',
    )
    // Even then no revoked key comes back.
    const forced = await place.run('fleet seed old.toml CONFIG --force --wait 1')
    expect(forced.stdout).toContain('revision 6, is stored')
    expect(forced).toMatchObject({
      stderr: 'xkeys: not acknowledged: n1 refuses it: revoked-key, had revision 5; its log says more\n',
      exit: 1,
    })
    await place.redis.client().flushall()
    await until(async () => expect((await place.store.heartbeats()).size).toBe(1))
    const copy = await place.run('fleet seed state-n1/n1.keyring.toml CONFIG')
    expect(copy).toMatchObject({ stderr: '', exit: 0 })
    expect(copy.stdout).toMatch(/revision 5, is stored[^]*acknowledged by n1 in /)
  })

  it.each([
    ['seal raises what is there', 'seal CONFIG --kek file:kek --revision 3'],
    ['a copy of a node is seeded', 'fleet seed state-n1/n1.keyring.toml CONFIG'],
  ])('after the store has lost a change: %s', MANY, async (_, remedy) => {
    const place = await withNodes(await fleetPlace())
    const before = await stored(place)
    const client = place.redis.client()
    const key = `xkeys:{${NAME}}:keyring`
    expect((await place.run('key revoke k2 CONFIG --group gw')).exit).toBe(0)
    await client.hset(key, 'revision', '1', 'text', before)
    // Or it would be the same keyring, to the second.
    await new Promise((done) => setTimeout(done, 1100))
    const again = await place.run('key revoke k2 CONFIG --group gw --wait 3')
    expect([again.stderr, again.exit]).toEqual([expect.stringContaining('n1 refuses it: older'), 1])
    if (remedy.startsWith('fleet seed')) await client.del(key)
    expect(await place.run(remedy)).toMatchObject({
      stdout: expect.stringContaining('acknowledged by n1, n2 in') as string,
      exit: 0,
    })
    expect((await ringOf(place)).keyState({ group: 'gw', name: 'k2' }, new Date())).toBe('revoked')
    expect((await place.run('fleet status CONFIG')).exit).toBe(0)
  })

  it('status tells of every node, exit 1 where one differs', MANY, async () => {
    const place = await withNodes(await fleetPlace())
    const fine = await place.run('fleet status CONFIG')
    expect(fine).toMatchObject({ stderr: '', exit: 0 })
    expect(fine.stdout.split('\n')[0]).toMatch(/^trunks in redis:\/\/127\.0\.0\.1:\d+\/0: revision 1$/)
    expect(fine.stdout).toContain('2 of 2 as they should be\n')
    await place.store.beat(heartbeat('n3'))
    const drift = await place.run('fleet status CONFIG --json')
    expect(drift.exit).toBe(1)
    expect(JSON.parse(drift.stdout)).toMatchObject({
      revision: 1,
      agrees: false,
      nodes: [{ status: 'current' }, { status: 'current' }, { node: 'n3', status: 'behind' }],
    })
    // Without the key-encryption key, too.
    const url = `--keyring ${place.redis.url} --keyring-name ${NAME}`
    expect((await place.run(`fleet status ${url}`)).exit).toBe(1)
    await place.redis.client().flushall()
    expect(await place.run('fleet status CONFIG')).toMatchObject({
      stdout: expect.stringContaining(': no keyring\n') as string,
      exit: 1,
    })
  })

  it('forget takes a node away that is gone, and no other', MANY, async () => {
    const place = await fleetPlace()
    const { report } = heartbeat('n9')
    await place.store.beat({ ...heartbeat('n9'), report: { ...report, stopped: report.at } })
    await place.store.beat(heartbeat('n1'))
    expect(await place.run('fleet forget n1 CONFIG')).toMatchObject({
      stderr: 'xkeys: n1 is live: it would tell of itself again at once, so stop it first\n',
      exit: 1,
    })
    expect(await place.run('fleet forget n8 CONFIG')).toMatchObject({ exit: 2 })
    expect(await place.run('fleet forget n9 CONFIG')).toMatchObject({ stdout: 'n9 is forgotten\n', exit: 0 })
    expect([...(await place.store.heartbeats()).keys()]).toEqual(['n1'])
  })

  it.each(['status', 'seed', 'forget', 'export', 'audit'])(
    '%s has an example that works',
    async (command) => {
      const place = await fleetPlace(command === 'seed' ? { text: '' } : {})
      const config = readFileSync(join(place.folder, 'operator.toml'))
      writeFileSync(join(place.folder, 'fleet.toml'), config)
      writeFileSync(join(place.folder, 'sealed.toml'), sealedRing())
      const { report } = heartbeat('n9')
      if (command === 'forget')
        await place.store.beat({ ...heartbeat('n9'), report: { ...report, stopped: report.at } })
      const help = (await xkeys(['fleet', command, '--help'], { cwd: place.folder })).stdout
      const { args } = splitCommand(/\nExample:\n {2}(xkeys .*)\n/.exec(help)![1]!)
      const { stdout, stderr, exit } = await xkeys(args.slice(1), { cwd: place.folder })
      expect([stdout === '', stderr, exit]).toEqual([false, '', 0])
    },
  )
})

describePeers('a store that cannot be asked', ['redis-server'], () => {
  it('is told in one line, exit 78, and without a password', MANY, async () => {
    const place = await fleetPlace()
    await place.redis.stop()
    const { port } = place.redis
    const url = `redis://:never-shown@127.0.0.1:${port}/0`
    for (const command of ['fleet status', 'fleet export', 'key list', 'key revoke k1 --group gw']) {
      const outcome = await place.run(`${command} --keyring ${url} --kek file:kek`)
      expect(outcome).toMatchObject({ stdout: '', exit: 78 })
      expect(outcome.stderr).toBe(
        `xkeys: xkeys in redis://127.0.0.1:${port}/0: it cannot be reached (ECONNREFUSED)\n`,
      )
    }
    const checked = await place.run('check CONFIG')
    expect(checked.exit).toBe(0)
    expect(checked.stderr).toContain('it cannot be reached (ECONNREFUSED)')
    expect(checked.stdout).toContain('  found      not read: neither the store nor a local copy has it\n')
    expect(checked.stdout).toContain('  keys       unknown: the keyring was not read\n')
  })

  it('check asks it otherwise, and reads the local copy where it has to', MANY, async () => {
    const place = await fleetPlace()
    const asked = await place.run('check CONFIG')
    expect([asked.stdout.includes('revision 1, read from the store'), asked.exit]).toEqual([true, 0])
    const node = await place.node('n1')
    await until(() => expect(readFileSync(join(place.folder, 'state-n1', 'n1.keyring.toml'))).not.toBe(''))
    await node.stop()
    await place.redis.stop()
    const copy = await place.run('check --config n1.toml')
    expect([copy.stdout.includes('revision 1, read from the local copy'), copy.exit]).toEqual([true, 0])
    const signed = await xkeys(['sign', '--config', 'n1.toml', '--json'], {
      cwd: place.folder,
      stdin: Buffer.from(
        'OPTIONS sip:bob@biloxi.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n',
      ),
    })
    expect(JSON.parse(signed.stdout)).toMatchObject({ ok: true, key: { name: 'k1' } })
  })
})

it('the key-encryption keys of these tests differ', () => {
  expect(KEK_BYTES.one.equals(KEK_BYTES.two)).toBe(false)
})

const kekId = (toml: string): string => /kek = "(\w+)"/.exec(toml)?.[1] ?? ''
