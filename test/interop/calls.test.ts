import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { formatKeyring } from '../../src/keyring/format-toml.ts'
import { exportModparams, importModparams } from '../../src/keyring/modparam.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { describePeers, freePorts, startKamailio, tempFolder, type Running } from '../support/peers.ts'
import { documented, placed, withKeys, type Places } from './documented.ts'
import { CLI, startEdge, type EdgeProcess } from './edge-process.ts'
import { modparamsOf } from './keys.ts'
import { startSipp, type SippOptions, type SippResult } from './sipp.ts'

const CALLS = 300
const REQUESTS = { direction: 'request', outcome: 'accept' }
const RESPONSES = { direction: 'response', outcome: 'accept' }

/** Fails with SIPp's own account where a call failed. */
function succeeded(result: SippResult, calls: number): void {
  if (result.code !== 0) throw new Error(result.output)
  expect(result).toMatchObject({ failed: 0, successful: calls })
}

async function play(options: SippOptions): Promise<SippResult> {
  return (await startSipp(options)).result
}

/** What the edge has counted so far. */
async function counted(process: EdgeProcess) {
  const requests = ['INVITE', 'ACK', 'BYE'].map((method) =>
    process.metric('xkeys_sip_messages_total', { direction: 'in', method_or_class: method }),
  )
  return {
    requests: (await Promise.all(requests)).reduce((sum, value) => sum + value, 0),
    acceptedRequests: await process.metric('xkeys_verifications_total', REQUESTS),
    acceptedResponses: await process.metric('xkeys_verifications_total', RESPONSES),
    signedRequests: await process.metric('xkeys_signatures_total', { direction: 'request', outcome: 'ok' }),
    signedResponses: await process.metric('xkeys_signatures_total', {
      direction: 'response',
      outcome: 'ok',
    }),
    rejections: await process.metric('xkeys_rejections_total'),
    dropped: await process.metric('xkeys_dropped_total'),
    unsigned: await process.metric('xkeys_verifications_total', { outcome: 'skipped' }),
  }
}

const NOW = new Date('2026-11-01T00:00:00Z')

describe('the document', () => {
  const keyring = parseKeyring(documented('keyring.toml'), { now: NOW })
  const lines = exportModparams(keyring, NOW)

  it.each(['kamailio.cfg', 'kamailio-signs.cfg', 'kamailio-checks.cfg'])(
    '%s holds the keys of keyring.toml',
    (name) => {
      expect(
        documented(name)
          .match(/^modparam\("auth_xkeys".*\n/gm)
          ?.join(''),
      ).toBe(lines)
    },
  )

  it('the way of its keys out of kamailio.cfg and back', () => {
    const folder = tempFolder()
    const file = join(folder, 'keyring.toml')
    const xkeys = (...args: string[]): string =>
      execFileSync(process.execPath, [CLI, 'keyring', ...args], {
        input: lines,
        encoding: 'utf8',
        stdio: 'pipe',
      })
    xkeys('import-kamailio', '--out', file)
    expect(xkeys('export-kamailio', file, '--group', 'trunk-a', '--reveal')).toBe(lines)
    expect(xkeys('export-kamailio', file, '--group', 'trunk-a')).not.toContain('xks_')
  })
})

describePeers('calls between sipp, kamailio and the edge', ['kamailio', 'sipp'], () => {
  let places: Required<Places>
  let caller: { address: string; port: number }
  let edge: EdgeProcess
  let kamailio: Running

  beforeAll(async () => {
    const [a, b, c, d, e, f] = await freePorts(6)
    caller = { address: '127.0.0.1', port: a! }
    places = {
      core: { address: '127.0.0.1', port: b! },
      kamailio: { address: '127.0.0.2', port: c! },
      edge: { address: '127.0.0.3', port: d! },
      edgeUpstream: { address: '127.0.0.4', port: e! },
      upstream: { address: '127.0.0.5', port: f! },
    }
    edge = await startEdge(placed('edge.toml', places), documented('keyring.toml'))
    kamailio = await startKamailio(placed('kamailio.cfg', places))
  })

  /** Runs a call scenario on both ends, and gives what the edge counted meanwhile. */
  async function calls(from: SippOptions, to: SippOptions) {
    const before = await counted(edge)
    const callee = await startSipp(to)
    const [outgoing, incoming] = await Promise.all([play(from), callee.result])
    for (const result of [outgoing, incoming]) {
      succeeded(result, CALLS)
    }
    const after = await counted(edge)
    const difference = Object.entries(after).map(([name, value]) => [
      name,
      value - before[name as keyof typeof before],
    ])
    return {
      retransmissions: outgoing.retransmissions + incoming.retransmissions,
      ...(Object.fromEntries(difference) as typeof after),
    }
  }

  it(`sipp calls ${CALLS} times through kamailio, which signs all requests and checks our responses`, async () => {
    const result = await calls(
      { scenario: 'caller', local: caller, to: places.kamailio, calls: CALLS },
      { scenario: 'callee', local: places.upstream, calls: CALLS },
    )
    console.log(`sipp → kamailio → edge → sipp: ${JSON.stringify(result)}`)
    expect(result.requests).toBeGreaterThanOrEqual(3 * CALLS)
    expect(result.requests).toBeLessThanOrEqual(3 * CALLS + result.retransmissions)
    expect(result).toMatchObject({
      acceptedRequests: result.requests,
      rejections: 0,
      dropped: 0,
      unsigned: 0,
    })
    expect(result.signedResponses).toBeGreaterThanOrEqual(3 * CALLS)
  }, 45_000)

  it(`sipp calls ${CALLS} times through the edge, kamailio checks all requests and signs the responses`, async () => {
    const result = await calls(
      { scenario: 'caller', local: places.upstream, to: places.edgeUpstream, calls: CALLS },
      { scenario: 'callee', local: places.core, calls: CALLS },
    )
    console.log(`sipp → edge → kamailio → sipp: ${JSON.stringify(result)}`)
    expect(result).toMatchObject({ acceptedRequests: 0, rejections: 0, dropped: 0, unsigned: 0 })
    expect(result.signedRequests).toBeGreaterThanOrEqual(3 * CALLS)
    expect(result.acceptedResponses).toBeGreaterThanOrEqual(3 * CALLS)
  }, 45_000)

  it(`sipp calls ${CALLS} times, the callee hangs up: kamailio signs and checks inside a call both ways`, async () => {
    const inbound = await calls(
      { scenario: 'waitingCaller', local: caller, to: places.kamailio, calls: CALLS },
      { scenario: 'hangingUpCallee', local: places.upstream, calls: CALLS },
    )
    expect(inbound).toMatchObject({ rejections: 0, dropped: 0, unsigned: 0 })
    // INVITE and ACK one way, BYE the other.
    expect(inbound.acceptedRequests).toBeGreaterThanOrEqual(2 * CALLS)
    expect(inbound.signedRequests).toBeGreaterThanOrEqual(CALLS)
    expect(inbound.acceptedResponses).toBeGreaterThanOrEqual(CALLS)
    const outbound = await calls(
      { scenario: 'waitingCaller', local: places.upstream, to: places.edgeUpstream, calls: CALLS },
      { scenario: 'hangingUpCallee', local: places.core, calls: CALLS },
    )
    expect(outbound).toMatchObject({ rejections: 0, dropped: 0, unsigned: 0 })
    expect(outbound.signedRequests).toBeGreaterThanOrEqual(2 * CALLS)
    expect(outbound.acceptedRequests).toBeGreaterThanOrEqual(CALLS)
    expect(outbound.acceptedResponses).toBeGreaterThanOrEqual(2 * CALLS)
  }, 60_000)

  describe('sipp gets 403', () => {
    const REFUSED = 20

    /** Refused requests, and what the edge counted of them by reason. */
    async function refused(process: EdgeProcess, options: Omit<SippOptions, 'scenario' | 'calls'>) {
      const reasons = ['token-mismatch', 'header-missing', 'no-usable-key'] as const
      const count = async () =>
        Promise.all(reasons.map((reason) => process.metric('xkeys_rejections_total', { reason })))
      const before = await count()
      const result = await play({ scenario: 'refused', calls: REFUSED, ...options })
      succeeded(result, REFUSED)
      const after = await count()
      return Object.fromEntries(reasons.map((reason, index) => [reason, after[index]! - before[index]!]))
    }

    it('through a kamailio with a wrong key', async () => {
      await kamailio.stop()
      kamailio = await startKamailio(withKeys(placed('kamailio.cfg', places), modparamsOf('removed')))
      expect(await refused(edge, { local: caller, to: places.kamailio })).toEqual({
        'token-mismatch': REFUSED,
        'header-missing': 0,
        'no-usable-key': 0,
      })
    })

    it('from the address of kamailio, without a token', async () => {
      const [port] = await freePorts(1)
      expect(
        await refused(edge, { local: { address: places.kamailio.address, port: port! }, to: places.edge }),
      ).toEqual({
        'token-mismatch': 0,
        'header-missing': REFUSED,
        'no-usable-key': 0,
      })
    })

    it('through a kamailio whose key has expired here', async () => {
      // Kamailio read `expires=1` long ago and signs on; our copy of the key has ended.
      const [a, b] = await freePorts(2)
      const line =
        'modparam("auth_xkeys", "xkey", "id=trunk-a;name=ended;value=xks_DEMO-worthless-ended;expires=1")\n'
      const ended = importModparams(line, new Date(Date.now() - 60_000))
      const other = {
        ...places,
        edge: { ...places.edge, port: a! },
        edgeUpstream: { ...places.edgeUpstream, port: b! },
      }
      const second = await startEdge(placed('edge.toml', other), formatKeyring(ended))
      await kamailio.stop()
      kamailio = await startKamailio(withKeys(placed('kamailio.cfg', other), line))
      expect(await refused(second, { local: caller, to: places.kamailio })).toEqual({
        'token-mismatch': 0,
        'header-missing': 0,
        'no-usable-key': REFUSED,
      })
    })
  })
})
