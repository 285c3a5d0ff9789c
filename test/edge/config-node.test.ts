import { hostname } from 'node:os'
import { describe, expect, it } from 'vitest'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { formatIssue } from '../../src/errors.ts'
import { errorOf } from '../keyring/error-of.ts'

const text = (top: string): string => `keyring = "k.toml"
${top}
[listen]
trunk = "127.0.0.1:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5080"
[agreements.main]
header = "X-Auth"
group = "trunk-a"
algorithm = "hmac-sha256"
request = "$rm:$ru"
[trunks.carrier]
sources = ["192.0.2.1"]
target = "192.0.2.1:5060"
agreement = "main"
`

describe('state and node', () => {
  it('are as written', () => {
    expect(parseEdgeConfig(text('state = "../state"\nnode = "edge-1.example"'))).toMatchObject({
      state: '../state',
      node: 'edge-1.example',
    })
  })

  it('default to none and the host name, as far as a file can be named after it', () => {
    const { state, node } = parseEdgeConfig(text(''))
    expect(state).toBeUndefined()
    expect(node).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/)
    expect(hostname().replace(/[^A-Za-z0-9._-]/g, '-')).toContain(node)
  })

  it.each(['', '.hidden', '..', 'a/b', 'a b', 'ä', 'x'.repeat(65)])('node = %j is refused', (node) => {
    const [issue] = errorOf(() => parseEdgeConfig(text(`node = ${JSON.stringify(node)}`))).issues
    expect(formatIssue(issue!)).toMatch(/^line 2: node: .*a node name is made of letters/)
  })

  it('an empty state directory is refused', () => {
    expect(errorOf(() => parseEdgeConfig(text('state = ""'))).issues).toMatchObject([
      { path: 'state', line: 2 },
    ])
  })
})
