import { describe, expect, it } from 'vitest'
import { readSources, type Source } from '../support/sources.ts'

const sources = readSources()

/** The part of the house that a file belongs to: its folder, or its own name where it stands in src itself. */
const partOf = (path: string): string => path.split('/')[0]!.replace(/\.ts$/, '')

/**
 * Imports point one way: a part may import parts of a lower floor, and itself. Parts on one floor do not know each
 * other. Stores and transport stand beside the others: they know the contracts that they fill, and only what runs
 * the product knows them.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['errors', 'version'],
  ['toml'],
  ['message', 'keyring', 'metrics'],
  ['template'],
  ['xkeys', 'digest', 'registrar'],
  ['pipeline'],
  ['stores', 'transport'],
  ['transaction'],
  ['adapters'],
  ['edge'],
  ['cli'],
]
const floorOf = (part: string): number => FLOORS.findIndex((floor) => floor.includes(part))

/** Only these know stores and transport. */
const RUNNERS = new Set(['transaction', 'adapters', 'edge', 'cli'])

const edges = sources.flatMap(({ path, imports }) =>
  imports.filter(({ from }) => from.endsWith('.ts')).map(({ from, kind }) => ({ path, from, kind })),
)
const told = (
  wanted: (edge: { readonly path: string; readonly from: string }) => boolean,
): readonly string[] => edges.filter(wanted).map(({ path, from }) => `${path} imports ${from}`)

describe('the house', () => {
  it('has no part whose floor is unknown', () => {
    const parts = new Set(sources.map(({ path }) => partOf(path)))
    expect([...parts].filter((part) => part !== 'index' && floorOf(part) < 0)).toEqual([])
  })

  it('is read rightly: its imports are found, and lead to files that are there', () => {
    expect(edges.length).toBeGreaterThan(150)
    const paths = new Set(sources.map(({ path }) => path))
    expect(told(({ from }) => !paths.has(from))).toEqual([])
  })

  it('has imports that point one way', () => {
    expect(
      told(({ path, from }) => {
        const [user, used] = [partOf(path), partOf(from)]
        return user !== used && user !== 'index' && floorOf(used) >= floorOf(user)
      }),
    ).toEqual([])
  })

  it('has stores and transport beside it: nothing but what runs the product knows them', () => {
    expect(
      told(({ path, from }) => {
        const [user, used] = [partOf(path), partOf(from)]
        return (used === 'stores' || used === 'transport') && user !== used && !RUNNERS.has(user)
      }),
    ).toEqual([])
  })

  it('has a front door that nobody inside goes through, and that leads to no command and no edge', () => {
    expect(told(({ from }) => from === 'index.ts')).toEqual([])
    expect(told(({ path, from }) => path === 'index.ts' && ['cli', 'edge'].includes(partOf(from)))).toEqual(
      [],
    )
  })

  it('has a front door of re-exports only', () => {
    const { code } = sources.find(({ path }) => path === 'index.ts')!
    const statements = code.split(/\n(?=\S)/).filter((statement) => statement.trim() !== '')
    expect(
      statements.filter((statement) => !/^(?:export (?:type )?(?:\{|\*)|\})/.test(statement.trim())),
    ).toEqual([])
  })

  it('has no circle of imports', () => {
    const circles: string[] = []
    const done = new Set<string>()
    const walk = (path: string, above: readonly string[]): void => {
      if (above.includes(path)) circles.push([...above.slice(above.indexOf(path)), path].join(' → '))
      else if (!done.has(path)) {
        for (const edge of edges)
          if (edge.path === path && edge.kind === 'value') walk(edge.from, [...above, path])
        done.add(path)
      }
    }
    for (const { path } of sources) walk(path, [])
    expect(circles).toEqual([])
  })
})

// ── files, sockets, processes, the clock ──

const OUTSIDE = new Set(['stores', 'transport', 'edge', 'cli'])
const inside = sources.filter(({ path }) => !OUTSIDE.has(partOf(path)))

/** Modules of Node that compute and touch nothing; of the others, the names that do. */
const PURE_MODULES = new Set(['node:crypto', 'node:buffer', 'node:util'])
const PURE_NAMES: Readonly<Record<string, readonly string[]>> = {
  'node:net': ['BlockList', 'SocketAddress', 'isIP', 'isIPv4', 'isIPv6'],
}
const LIBRARIES = new Set(['@iarna/toml', 'lru-cache', 'prom-client', 're2js', 'zod'])

/** What reads the clock, and where it is the default of an argument. */
const CLOCK = /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bhrtime\b/
const CLOCK_DEFAULTS = new Set(['xkeys/selection.ts'])
const WORLD =
  /(?<![.\w])process(?=[.[])|\bconsole\b|\bset(?:Timeout|Interval|Immediate)\b|\bfetch\(|\brequire\(|\bMath\.random\b/

const naming = (files: readonly Source[], pattern: RegExp): readonly string[] =>
  files.flatMap(({ path, code }) => {
    const found = pattern.exec(code)?.[0]
    return found === undefined ? [] : [`${path}: ${found}`]
  })

describe('what computes', () => {
  it('touches no file, socket or process', () => {
    const impure = inside.flatMap(({ path, imports }) =>
      imports
        .filter(({ from, kind, names }) => {
          if (from.endsWith('.ts') || kind === 'type' || PURE_MODULES.has(from) || LIBRARIES.has(from))
            return false
          const pure = PURE_NAMES[from] ?? []
          return names.length === 0 || names.some((name) => !name.startsWith('type ') && !pure.includes(name))
        })
        .map(({ from, names }) => `${path} imports ${names.join(', ')} from ${from}`),
    )
    expect(impure).toEqual([])
    expect(naming(inside, WORLD)).toEqual([])
  })

  it('takes the time as an argument', () => {
    expect(
      naming(
        inside.filter(({ path }) => !CLOCK_DEFAULTS.has(path)),
        CLOCK,
      ),
    ).toEqual([])
  })

  it('is where the clock may be the default: still used there', () => {
    const used = sources
      .filter(({ path, code }) => CLOCK_DEFAULTS.has(path) && CLOCK.test(code))
      .map(({ path }) => path)
    expect(used).toEqual([...CLOCK_DEFAULTS])
  })

  it('never runs text as code', () => {
    expect(naming(sources, /\beval\(|\bnew Function\b|\bvm\b/)).toEqual([])
  })
})
