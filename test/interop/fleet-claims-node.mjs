// @ts-check
/**
 * The claims of a node in a process of their own, opened as an edge opens them by its configuration. It answers what its
 * parent asks: `[key, value]` with the result, anything else with who answers.
 */
import { pino } from 'pino'
import { openClaims } from '../../dist/edge/open-claims.js'
import { loadConfig } from '../../dist/edge/service.js'

const { claims, state } = await openClaims(
  loadConfig('edge.toml', process.env, new Date()),
  { capacity: 1000, shared: undefined },
  { log: pino({ level: 'silent' }), time: Date.now, monotonic: () => performance.now() },
)
process.on('message', async (/** @type {unknown} */ asked) => {
  process.send?.(Array.isArray(asked) ? await claims.claim(asked[0], asked[1], 600_000) : state?.())
})
process.on('disconnect', () => process.exit())
process.send?.('open')
