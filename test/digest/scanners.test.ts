import { describe, expect, it } from 'vitest'
import { compileScanners, SCANNERS } from '../../src/digest/scanners.ts'
import { viewOf } from '../../src/message/view.ts'
import { parsed, type Line } from '../support/messages.ts'
import { errorOf } from '../keyring/error-of.ts'
import { createRig, requestBytes } from './stage.ts'

const isScanner = (agents: readonly string[], parts = SCANNERS): boolean =>
  compileScanners(parts)(
    viewOf(parsed(requestBytes({ add: agents.map((agent): Line => ['User-Agent', agent]) }))),
  )

describe('scanners', () => {
  it.each(['friendly-scanner', 'SIPVicious 0.3', 'sipcli/v1.8', 'VaxSIPUserAgent/3.1', 'pplsip'])(
    '%s is one',
    (agent) => {
      expect(isScanner([agent])).toBe(true)
      expect(isScanner(['Linphone', agent])).toBe(true)
    },
  )

  it.each([[], ['Linphone/5'], ['my friendly telephone'], ['']])('%j is none', (...agents: string[]) => {
    expect(isScanner(agents)).toBe(false)
  })

  it('are those that are listed', () => {
    expect(isScanner(['friendly-scanner'], [])).toBe(false)
    expect(isScanner(['Evil 1'], ['eVIL'])).toBe(true)
  })

  it('are dropped without a word, before anything else', () => {
    const rig = createRig({
      trusted: () => true,
      failures: undefined,
    })
    for (const method of ['REGISTER', 'INVITE', 'OPTIONS', 'ACK', 'CANCEL']) {
      const bytes = requestBytes({ method, add: [['User-Agent', 'friendly-scanner']] })
      expect(rig.judge(bytes)).toEqual({ verdict: 'drop', reason: 'scanner' })
    }
    expect(rig.last()).toBe('dropped: scanner')
    expect(createRig({ scanners: [] }).judge(requestBytes({ add: [['User-Agent', 'sipcli']] })).verdict).toBe(
      'challenge',
    )
  })

  it('cannot be everybody', () => {
    expect(errorOf(() => compileScanners(['a', ' ', ''])).issues.map(({ path }) => path)).toEqual([
      'scanners[1]',
      'scanners[2]',
    ])
  })
})
