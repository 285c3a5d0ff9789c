import { describe, expect, it } from 'vitest'
import * as api from '../../src/index.ts'
import * as edge from '../../src/edge/service.ts'

/** Names that others rely on; types are held by test/types/api.test-d.ts. */
const NAMES = [
  'ConfigError',
  'VERIFY_FAILURES',
  'authenticate',
  'compileTemplate',
  'createPipeline',
  'createSigner',
  'createVerifier',
  'defineAgreement',
  'editHeaders',
  'exportModparams',
  'importModparams',
  'parseKeyring',
  'parseMessage',
  'verifyPeer',
] as const

describe('the front door', () => {
  it.each(NAMES)('has %s', (name) => {
    expect(api).toHaveProperty(name)
  })

  it('gives the same functions from the built package', async () => {
    const [built, builtEdge] = await Promise.all([import('auth-xkeys'), import('auth-xkeys/edge')])
    expect(Object.keys(built).toSorted()).toEqual(Object.keys(api).toSorted())
    expect(Object.keys(builtEdge).toSorted()).toEqual(Object.keys(edge).toSorted())
  })

  it('opens without a socket, a timer or a listener left behind', async () => {
    const before = process.getActiveResourcesInfo().length
    const signals = process.listenerCount('SIGTERM')
    await import('auth-xkeys')
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before)
    expect(process.listenerCount('SIGTERM')).toBe(signals)
  })
})
