// @ts-check
/**
 * Writes the reference of the edge's settings into docs/edge.md, between its two marks. Everything in it comes from
 * src/edge/config-schema.ts. Run it after `npm run build` when a setting changes; a test says when it was forgotten.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { settingsReference } from '../dist/edge/config-reference.js'

const path = new URL('../docs/edge.md', import.meta.url)
const page = readFileSync(path, 'utf8')
const marked = /(<!-- settings: .* -->\n)[^]*?(\n<!-- \/settings -->)/
if (!marked.test(page))
  throw new Error('docs/edge.md has lost its marks <!-- settings: … --> and <!-- /settings -->')
writeFileSync(
  path,
  page.replace(marked, (_, begin, end) => `${begin}\n${settingsReference()}\n${end}`),
)
