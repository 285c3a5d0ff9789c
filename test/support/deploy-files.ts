/**
 * What is in deploy/, as data.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseEdgeConfig } from '../../src/edge/config.ts'

/** Path of a file of deploy/. */
export function deployPath(name: string): string {
  return fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url))
}

/** Text of a file of deploy/. */
export function deployFile(name: string): string {
  return readFileSync(deployPath(name), 'utf8')
}

export const RULES = 'prometheus/xkeys-alerts.yml'
export const CASES = 'prometheus/xkeys-alerts.test.yml'
export const DASHBOARD = 'grafana/xkeys.json'
export const UNIT = 'systemd/xkeys-edge.service'

/** Limits of an edge whose configuration names none. */
export const DEFAULT_LIMITS = parseEdgeConfig(`
keyring = "k"
[listen]
trunk = "127.0.0.1:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5080"
[agreements.a]
header = "X-Auth"
group = "g"
algorithm = "hmac-sha256"
request = "$ci"
[trunks.t]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "a"
`).limits

/** One rule; `text` is all of it. */
export interface Rule {
  readonly kind: 'alert' | 'record'
  readonly name: string
  readonly expr: string
  readonly text: string
}

/** The rules. Reads the layout that our file has, not YAML; `promtool` counts the rules, too. */
export function readRules(yaml: string): readonly Rule[] {
  return yaml
    .split(/^ {6}- (?=alert:|record:)/m)
    .slice(1)
    .map((text) => {
      const [, kind, name] = /^(alert|record): (\S+)$/m.exec(text) ?? []
      const [, line, block] = /^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.+)$)/m.exec(text) ?? []
      const expr = line ?? block
      if ((kind !== 'alert' && kind !== 'record') || name === undefined || expr === undefined)
        throw new Error(`a rule that cannot be read: ${text}`)
      return { kind, name, expr, text }
    })
}

/** A panel of the dashboard. */
export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly {
    readonly refId: string
    readonly expr: string
    readonly legendFormat: string
  }[]
}

/** The dashboard, as far as tests look at it. */
export interface Dashboard {
  readonly uid: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[]
  }
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
}

export function readDashboard(): Dashboard {
  return JSON.parse(deployFile(DASHBOARD)) as Dashboard
}

/** An expression with Grafana's variables replaced as it would replace them. */
export function withoutVariables(expr: string): string {
  return expr
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__range', '1h')
    .replaceAll(/\$(?:instance|group|peer)\b/g, '.*')
}

/** Every expression of the panels. */
export function panelExpressions(): readonly {
  readonly where: string
  readonly expr: string
  readonly legend: string
}[] {
  return readDashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ refId, expr, legendFormat }) => ({
      where: `${title} ${refId}`,
      expr: withoutVariables(expr),
      legend: legendFormat,
    })),
  )
}
