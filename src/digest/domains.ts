/**
 * The domains that we serve.
 * @module
 */
import { isIP } from 'node:net'
import type { Issue } from '../errors.ts'

/** Whether a host, as it stands in a URI, is one of ours. */
export type DomainMatcher = (host: string) => boolean

/** A host of a URI without a user may hold what no name does. */
const ANY = /^[a-z0-9_-]+$/
const LABEL = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?|\*)$/

/**
 * Compiles a list of domains: host names, IP addresses, and names in which a label is `*`, which stands for exactly one
 * label: `*.example.org` fits `a.example.org` and neither `example.org` nor `b.a.example.org`. Case does not count, nor
 * does a dot at the end.
 * @param path of the list, for what is reported in `issues`
 */
export function compileDomains(domains: readonly string[], path: string, issues: Issue[]): DomainMatcher {
  const exact = new Set<string>()
  const patterns: (readonly string[])[] = []
  for (const [i, domain] of domains.entries()) {
    const name = fold(domain)
    if (isAddress(name)) {
      exact.add(name)
      continue
    }
    const labels = name.split('.')
    if (!labels.every((label) => LABEL.test(label))) {
      const message = `${JSON.stringify(domain)} is no domain: a wildcard stands for a whole label, as in *.example.org`
      issues.push({ path: `${path}[${i}]`, message })
    } else if (labels.every((label) => label === '*')) {
      const message = `${JSON.stringify(domain)} would fit domains of anybody: name at least one label`
      issues.push({ path: `${path}[${i}]`, message })
    } else if (labels.includes('*')) {
      patterns.push(labels)
    } else {
      exact.add(name)
    }
  }
  return (host) => {
    const name = fold(host)
    if (exact.has(name)) return true
    if (patterns.length === 0 || name === '' || isAddress(name)) return false
    const labels = name.split('.')
    return patterns.some((pattern) => fits(pattern, labels))
  }
}

function fits(pattern: readonly string[], labels: readonly string[]): boolean {
  return (
    pattern.length === labels.length &&
    pattern.every((label, i) => (label === '*' ? ANY.test(labels[i]!) : label === labels[i]))
  )
}

function fold(host: string): string {
  const lower = host.toLowerCase()
  return lower.endsWith('.') ? lower.slice(0, -1) : lower
}

function isAddress(name: string): boolean {
  return isIP(name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name) !== 0
}
