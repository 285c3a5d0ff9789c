import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const SRC = fileURLToPath(new URL('../../src/', import.meta.url))

/** A file of src. */
export interface Source {
  /** `message/via.ts` */
  readonly path: string
  readonly text: string
  /** The text with comments gone and the content of strings blanked. */
  readonly code: string
  readonly imports: readonly Import[]
}

/** An import or re-export. */
export interface Import {
  /** `message/via.ts` or `node:fs`. */
  readonly from: string
  /** Whether nothing of it is left at run time. */
  readonly kind: 'type' | 'value'
  /** `hash`, `type Via`; empty for `import 'x'` and `* as x`. */
  readonly names: readonly string[]
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:([^'";]*?)\s+from\s+)?'([^']+)'/gm
const DYNAMIC = /\bimport\(\s*'([^']+)'\s*\)/g

/** Every file of src. */
export function readSources(): readonly Source[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .toSorted()
    .map((path) => {
      const text = readFileSync(join(SRC, path), 'utf8')
      return { path: path.replaceAll('\\', '/'), text, code: codeOf(text), imports: importsOf(path, text) }
    })
}

function importsOf(path: string, text: string): readonly Import[] {
  const from = (specifier: string): string =>
    specifier.startsWith('.')
      ? relative(SRC, resolve(SRC, dirname(path), specifier)).replaceAll('\\', '/')
      : specifier
  const statements = Array.from(text.matchAll(STATEMENT), ([, type, clause = '', specifier = '']): Import => {
    const names = (/\{([^}]*)\}/.exec(clause)?.[1] ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
    const onlyTypes =
      type !== undefined || (names.length > 0 && names.every((name) => name.startsWith('type ')))
    return { from: from(specifier), kind: onlyTypes ? 'type' : 'value', names }
  })
  const dynamic = Array.from(text.matchAll(DYNAMIC), ([, specifier = '']): Import => ({
    from: from(specifier),
    kind: 'value',
    names: [],
  }))
  return [...statements, ...dynamic]
}

/** Comments out, strings and regular expressions emptied; a `${…}` in a template goes with its string. */
function codeOf(text: string): string {
  return text.replace(
    /\/\*[^]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[^])*`|(?<=[(,=:[!&|?{};\n]\s*)\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g,
    (found) =>
      found.startsWith('/') && !found.startsWith('/*') && !found.startsWith('//')
        ? '/x/'
        : found.startsWith('/')
          ? ''
          : "''",
  )
}
