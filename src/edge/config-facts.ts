/**
 * What an operator is told of a setting, and the kinds of value that settings of the edge share.
 * @module
 */
import { z } from 'zod'
import type { RealmRule } from '../digest/realm.ts'
import type { Endpoint } from '../message/types.ts'
import { parseKekReference } from '../stores/kek.ts'
import type { TomlValue } from '../toml.ts'
import { parseConfigSource, parseEndpoint } from './config-address.ts'
import { parseSecretReference } from './secret-reference.ts'

/** What an operator is told of one setting; kind, range, choices and default come from its schema. */
export interface SettingFacts {
  /** What it does. Markdown, one paragraph. */
  readonly meaning: string
  /** A value, as TOML. */
  readonly example: string
  /** What is written, where the kind alone does not say it: `address:port`. */
  readonly form?: string
  /** Of a number. */
  readonly unit?: string
  /** The default, where it follows from something else. */
  readonly otherwise?: string
}

/** The facts of every setting, by its schema. */
export const SETTING_FACTS = new WeakMap<z.ZodType, SettingFacts>()

/** Gives a schema its facts. */
export function setting<S extends z.ZodType>(schema: S, facts: SettingFacts): S {
  SETTING_FACTS.set(schema, facts)
  return schema
}

/** A text that `parse` understands; its message where it does not. */
function parsed<T extends object>(parse: (text: string) => T | string) {
  return z.string().transform((text, context): T => {
    const found = parse(text)
    if (typeof found !== 'string') return found
    context.issues.push({ code: 'custom', input: text, message: found })
    return z.NEVER
  })
}

/** `address:port` to listen on. */
export const endpoint = () => parsed(parseEndpoint)

/** `address:port` to send to: port 0, any free one, is for listening. */
export const target = () =>
  parsed((text): Endpoint | string => {
    const found = parseEndpoint(text)
    return typeof found === 'object' && found.port === 0 ? 'nothing can be sent to port 0' : found
  })

/** An entry of a source list. */
export const source = () => parsed(parseConfigSource)

/** Where a key-encryption key is kept. */
export const kekReference = () => parsed(parseKekReference)

/** `fixed:REALM`, `strip:PREFIX`, `pattern:REGEX`. */
export const realmRule = () =>
  parsed((text): RealmRule | string => {
    const [, kind, rest = ''] = /^(fixed|strip|pattern):(.+)$/s.exec(text) ?? []
    if (kind === 'fixed') return { kind, realm: rest }
    if (kind === 'strip') return { kind: 'domain', strip: rest }
    if (kind === 'pattern') return { kind, pattern: rest }
    return 'it must be fixed:REALM, strip:PREFIX or pattern:REGEX'
  })

/** Where a secret is kept. */
export const secret = () => parsed(parseSecretReference)

/** A table that goes to a client as it is. */
export const clientTable = (facts: SettingFacts) =>
  z
    .record(
      z.string(),
      setting(
        z.custom<TomlValue>(() => true),
        facts,
      ),
    )
    .optional()

/** A template for both sides of an agreement, or one for each. */
export const sides = () => z.union([z.string(), z.strictObject({ sender: z.string(), receiver: z.string() })])
