/** Keyrings as people write them, beside what they mean, and ways to ask what a text means. */
import * as fc from 'fast-check'
import { tomlDate, tomlString } from '../../src/keyring/edit-toml.ts'
import { foldGroup } from '../../src/keyring/keyring.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { parseToml } from '../../src/toml.ts'

/** A key as it is meant: settings by name, as texts that are compared. */
export interface Meant {
  readonly group: string
  readonly name: string
  readonly secret: string
  readonly active_from?: string | undefined
  readonly expires?: string | undefined
  readonly revoked?: string | undefined
}

// ── texts ──

/** Text that strings may hold, with what looks like other lines. */
const label = fc.oneof(
  fc.constantFrom(
    'k1',
    '2026-q4',
    'a b',
    '[[groups.x.keys]]',
    '# no',
    'a"b',
    "a'b",
    'a\\b',
    'ü-é',
    '=',
    'expires',
  ),
  fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }).filter((text) => !/\p{Cc}|\p{Cs}/u.test(text)),
)
const groups = ['gw', 'GW', 'trunk-a', 'gw 1', 'a.b', "it's", '"', '#', '2026', 'é', '[[x]]']
const secret = fc
  .string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
  .filter((text) => !/\p{Cs}/u.test(text))
/** Whole seconds from 2000 to 2100: starts in one half, ends in the other. */
export const start = fc
  .integer({ min: 946_684_800, max: 2_500_000_000 })
  .map((time) => tomlDate(new Date(time * 1000)))
export const end = fc
  .integer({ min: 2_500_000_001, max: 4_102_444_800 })
  .map((time) => tomlDate(new Date(time * 1000)))
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })

export const key: fc.Arbitrary<Meant> = fc.record({
  group: fc.constantFrom(...groups),
  name: label,
  secret,
  active_from: maybe(start),
  expires: maybe(end),
  revoked: maybe(fc.oneof(end, fc.constant('true'))),
})

/** At most one key of a name in a group; a group is spelled as it was first. */
const keyring = fc.array(key, { maxLength: 7 }).map((keys) => {
  const spelled = new Map<string, string>()
  const seen = new Set<string>()
  return keys.flatMap((one): Meant[] => {
    const group = spelled.get(foldGroup(one.group)) ?? one.group
    spelled.set(foldGroup(group), group)
    const id = JSON.stringify([group, one.name])
    if (seen.has(id)) return []
    seen.add(id)
    return [{ ...one, group }]
  })
})

/** How a text is written; each choice is asked for anew. */
interface Hand {
  blank(): string
  /** A choice of these. */
  pick<T>(...of: readonly [T, ...T[]]): T
  comment(): string | undefined
}

/** The choices come from a list of numbers; comments are all different. */
function handOf(choices: readonly number[]): Hand {
  let at = 0
  let comments = 0
  const next = (): number => choices[at++ % choices.length] ?? 0
  return {
    blank: () => ['', ' ', '\t', '   '][next() % 4]!,
    pick: (...of) => of[next() % of.length]!,
    comment: () =>
      next() % 3 === 0
        ? `#c${comments++}${['', ' [[groups.x.keys]]', ' = "', " name = 'k1'"][next() % 4]}`
        : undefined,
  }
}

function writeString(text: string, hand: Hand): string {
  const isLiteral = !/['\p{Cc}]/u.test(text) && hand.pick(true, false)
  return isLiteral ? `'${text}'` : tomlString(text)
}

function writeKeyring(keys: readonly Meant[], hand: Hand): string {
  const eol = hand.pick('\n', '\r\n')
  const lines: string[] = []
  const write = (text: string): void => {
    const comment = hand.comment()
    lines.push(comment === undefined ? text + hand.blank() : text + hand.blank() + comment)
  }
  const between = (): void => {
    if (hand.pick(true, false)) lines.push(hand.blank())
    const comment = hand.comment()
    if (comment !== undefined) lines.push(hand.blank() + comment)
  }
  const b = (): string => hand.blank()
  for (const meant of keys) {
    between()
    const id =
      /^[A-Za-z0-9_-]+$/.test(meant.group) && hand.pick(true, false)
        ? meant.group
        : writeString(meant.group, hand)
    write(`${b()}[[${b()}groups${b()}.${b()}${id}${b()}.${b()}keys${b()}]]`)
    const settings: (readonly [string, string])[] = [
      ['name', writeString(meant.name, hand)],
      hand.pick(true, false)
        ? ['value', writeString(meant.secret, hand)]
        : ['value_base64', `"${Buffer.from(meant.secret).toString('base64')}"`],
    ]
    for (const setting of ['active_from', 'expires', 'revoked'] as const) {
      const value = meant[setting]
      if (value !== undefined) settings.push([setting, hand.pick(value, value.replace('T', ' '))])
    }
    if (hand.pick(true, false)) settings.reverse()
    for (const [name, value] of settings) {
      if (hand.pick(true, false, false)) between()
      const written = hand.pick(name, name, `"${name}"`)
      write(`${b()}${written}${b()}=${b()}${value}`)
    }
  }
  between()
  const text = lines.join(eol) + hand.pick('', eol)
  return hand.pick('', '', '\uFEFF') + text
}

export const written = fc
  .tuple(keyring, fc.array(fc.nat({ max: 999 }), { minLength: 50, maxLength: 200 }))
  .map(([keys, choices]) => ({ keys, text: writeKeyring(keys, handOf(choices)) }))

// ── what a text says ──

export function meaningOf(text: string): readonly Meant[] {
  const ring = parseKeyring(text, { maxKeysPerGroup: 100 })
  const keys = ring.groups.flatMap((group) =>
    ring.keys(group).map((one) => ({
      group,
      name: one.name,
      secret: one.secret.export().toString(),
      active_from: one.activeFrom && tomlDate(one.activeFrom),
      expires: one.expires && tomlDate(one.expires),
      revoked: one.revoked && (one.revoked.getTime() === 0 ? 'true' : tomlDate(one.revoked)),
    })),
  )
  return inOrder(keys)
}

/** Group by group, the keys of each as they are listed; the order of the groups decides nothing. */
export function inOrder(keys: readonly Meant[]): readonly Meant[] {
  return keys.toSorted((a, b) => (a.group < b.group ? -1 : a.group > b.group ? 1 : 0))
}

export const commentsOf = (text: string): readonly string[] =>
  Array.from(text.matchAll(/#c\d+(?=[\s]|$)/g), ([found]) => found)

/** The lines without their ends. */
export const linesOf = (text: string): readonly string[] => text.replace('\uFEFF', '').split(/\r?\n/)

/** From the header of a key to its last setting, as line numbers. Read by the parser, not by the editor. */
export function placeOf(text: string, { group, name }: Meant): readonly [first: number, last: number] {
  const document = parseToml(text)
  if (!document.ok) throw new Error('not TOML')
  const tables = (document.value['groups'] as Record<string, { keys: readonly { readonly name: string }[] }>)[
    group
  ]!.keys
  const index = tables.findIndex((table) => table.name === name)
  const path = ['groups', group, 'keys', index]
  const settings = Object.keys(tables[index]!).map((setting) => document.lineOf([...path, setting])!)
  return [document.lineOf(path)!, Math.max(...settings)]
}
