/**
 * The agreements of `edge.toml`, each checked as far as it could be read.
 * @module
 */
import { ConfigError } from '../errors.ts'
import { defineAgreement, type Agreement, type AgreementInput } from '../xkeys/agreement.ts'
import type { agreementSchema } from './config-schema.ts'
import type { Found, Report } from './settings.ts'

const SETTING_NAMES: Readonly<Record<string, string>> = {
  whenMissing: 'when_missing',
  maxData: 'max_data',
}

/** Stands in for a setting whose fault was told, so that those of the others can be. */
const STAND_IN = {
  header: 'X-Auth',
  group: 'group',
  algorithm: 'hmac-sha256',
  request: '$ru',
} as const

/**
 * Compiles one agreement and reports what is wrong with it.
 * @param written names of its settings that stand in the file, right or wrong
 * @returns undefined where something is
 */
export function readAgreement(
  name: string,
  raw: Found<typeof agreementSchema>,
  written: readonly string[],
  report: Report,
): Agreement | undefined {
  const { when_missing: whenMissing, max_data: maxData, request, ...rest } = raw
  const requested = request ?? (written.includes('request') ? STAND_IN.request : undefined)
  const input = {
    ...STAND_IN,
    ...present(rest),
    request: requested,
    ...present({ whenMissing, maxData }),
  } as AgreementInput
  try {
    return defineAgreement(input)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const { path, message } of error.issues) {
      // `request.sender, column 7`: the path proper, then where in the value.
      const [setting = '', ...where] = path.split(', ')
      const keys = setting.split('.').map((key) => SETTING_NAMES[key] ?? key)
      report(['agreements', name, ...keys], [...where, message].join(': '))
    }
    return undefined
  }
}

function present(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}
