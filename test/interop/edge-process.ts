/**
 * The edge as its operator runs it: `xkeys run` in a process of its own.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { start, tempFolder, waitUntil, type Running } from '../support/peers.ts'

/** The command `xkeys`, as built. */
export const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** A running edge. */
export interface EdgeProcess extends Running {
  /** Value of a metric whose labels include these, summed; 0 where there is no such series. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
}

/**
 * Starts the edge with the two files, and waits until it says that it runs.
 * @param files others that its configuration names
 */
export async function startEdge(
  config: string,
  keyring: string,
  files: Readonly<Record<string, string>> = {},
): Promise<EdgeProcess> {
  if (!existsSync(CLI)) throw new Error('dist/ is not built: run npm run build')
  const folder = tempFolder()
  writeFileSync(join(folder, 'edge.toml'), config)
  writeFileSync(join(folder, 'keyring.toml'), keyring)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
  const edge = start(process.execPath, [CLI, 'run', '--config', join(folder, 'edge.toml')], folder)
  let metrics: { address: string; port: number } | undefined
  await waitUntil(edge, () => {
    const line = edge
      .output()
      .split('\n')
      .find((text) => text.includes('"event":"started"'))
    if (line !== undefined) ({ metrics } = JSON.parse(line) as { metrics: typeof metrics })
    return line !== undefined
  })
  return {
    ...edge,
    async metric(name, labels = {}) {
      const response = await fetch(`http://${metrics?.address}:${metrics?.port}/metrics`)
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
      let sum = 0
      for (const line of (await response.text()).split('\n')) {
        const [, series, text = '', value] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? []
        if (series === name && wanted.every((label) => text.includes(label))) sum += Number(value)
      }
      return sum
    },
  }
}
