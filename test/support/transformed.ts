import { createHash } from 'node:crypto'
import { compileTemplate } from '../../src/template/compile.ts'
import { bytesOf, contextOf } from './messages.ts'

/** What `transformations`, such as `{s.len}`, make of a text; null where they fail. The text is a message's body. */
export function transformed(text: string, transformations: string): string | null {
  const template = compileTemplate(`$(rb${transformations})`)
  return template.explain(contextOf(bytesOf({ body: text })))[0]!.value
}

export const hashOf = (name: string, text: string): string =>
  createHash(name).update(text, 'latin1').digest('hex')
