/**
 * The transformations `{class.name,parameters}`, by class (Kamailio pv_trans.c, textops, version 5.6).
 * @module
 */
import { lineTransformations } from './transform-line.ts'
import { addressTransformations } from './transform-address.ts'
import { paramTransformations } from './transform-param.ts'
import { regexTransformations } from './transform-regex.ts'
import { stringTransformations } from './transform-string.ts'
import type { Transformation } from './transform.ts'
import { uriTransformations } from './transform-uri.ts'

/** Every transformation a template may name, as `class.name`. */
export const TRANSFORMATIONS: ReadonlyMap<string, Transformation> = new Map([
  ...stringTransformations,
  ...uriTransformations,
  ...addressTransformations,
  ...paramTransformations,
  ...lineTransformations,
  ...regexTransformations,
])
