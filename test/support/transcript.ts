/** One command of a transcript, and what it must say. */
export interface Step {
  readonly line: number
  readonly args: readonly string[]
  readonly stdin: string | undefined
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  readonly exit: number
}

/** A transcript: commands in order, and the files that they find. */
export interface Transcript {
  readonly steps: readonly Step[]
  readonly files: Readonly<Record<string, string>>
}

/** Words of a command line as a shell would split them: blanks, '…' and "…" without escapes, `< file`. */
export function splitCommand(line: string): {
  readonly args: readonly string[]
  readonly stdin: string | undefined
} {
  const words = Array.from(line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g), ([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? ''),
  )
  const redirect = words.indexOf('<')
  if (redirect < 0) return { args: words, stdin: undefined }
  return { args: words.toSpliced(redirect, 2), stdin: words[redirect + 1] }
}

/**
 * Parses a transcript.
 *
 * - `$ xkeys …` a command; `< file` is its standard input
 * - `| ` a line of standard output, `! ` one of standard error; `/…/` behind either is a regular expression of the whole
 *   line; `␍` stands for CR
 * - `= 1` its exit code; 0 where there is no such line
 * - `-- name --` the file of that name: the lines up to the next one. Lines of a `.sip` file end in CRLF
 * - `# ` a remark
 */
export function parseTranscript(text: string): Transcript {
  const [script = '', ...parts] = text.split(/^-- (.*) --\n/m)
  const files: Record<string, string> = {}
  for (let i = 0; i < parts.length; i += 2) {
    const name = parts[i]!
    files[name] = name.endsWith('.sip') ? parts[i + 1]!.replaceAll('\n', '\r\n') : parts[i + 1]!
  }
  const steps: {
    line: number
    args: readonly string[]
    stdin: string | undefined
    stdout: string[]
    stderr: string[]
    exit: number
  }[] = []
  for (const [index, line] of script.split('\n').entries()) {
    const rest = line.slice(2)
    const step = steps.at(-1)
    if (line.startsWith('$ xkeys')) {
      const { args, stdin } = splitCommand(rest)
      steps.push({ line: index + 1, args: args.slice(1), stdin, stdout: [], stderr: [], exit: 0 })
    } else if (line.startsWith('|')) step!.stdout.push(rest)
    else if (line.startsWith('!')) step!.stderr.push(rest)
    else if (line.startsWith('= ')) step!.exit = Number(rest)
    else if (line !== '' && !line.startsWith('#'))
      throw new Error(`line ${index + 1} is none of a transcript: ${line}`)
  }
  return { steps, files }
}

/** Lines of an output, as a transcript has them. */
export function outputLines(output: string): readonly string[] {
  if (output === '') return []
  const lines = output.replaceAll('\r', '␍').split('\n')
  return lines.at(-1) === '' ? lines.slice(0, -1) : [...lines.slice(0, -1), `${lines.at(-1)}␃`]
}

/** The lines with those that match the pattern in their place replaced by it, so that both can be compared. */
export function fitPatterns(lines: readonly string[], expected: readonly string[]): readonly string[] {
  return lines.map((line, i) => {
    const pattern = /^\/(.*)\/$/.exec(expected[i] ?? '')?.[1]
    return pattern !== undefined && new RegExp(`^(?:${pattern})$`).test(line) ? expected[i]! : line
  })
}
