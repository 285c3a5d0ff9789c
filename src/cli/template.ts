/**
 * `xkeys template`: what a template makes of a message.
 * @module
 */
import type { Command } from 'commander'
import { compileTemplate } from '../template/compile.ts'
import { EXIT } from './exit.ts'
import { print, printJson, readInputs, visible } from './io.ts'
import { addContextOptions, readContext, type ContextOptions } from './message-options.ts'

/** Adds the command. */
export function addTemplateCommand(program: Command): void {
  const command = program
    .command('template')
    .summary('show what a template makes of a message')
    .description('Shows the data that a template makes of a message, and the value of each pseudo-variable.')
    .argument('<template>', "in single quotes, e.g. '$si:$fu:$ru:$hdr(CSeq)'")
    .argument('[file]', 'the message; standard input where absent')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      "\nExample:\n  xkeys template '$si:$fu:$hdr(CSeq)' --source 192.0.2.1:5060 < invite.sip",
    )
  addContextOptions(command).action(
    (source: string, file: string | undefined, options: ContextOptions & { json?: true }) => {
      const template = compileTemplate(source)
      const [input] = readInputs(file === undefined ? [] : [file])
      const context = readContext(input!.bytes, options)
      if (typeof context === 'string') {
        process.stderr.write(`xkeys: ${input!.name}: ${context}\n`)
        process.exitCode = EXIT.refused
        return
      }
      const expanded = template.expand(context)
      const data = expanded.ok ? expanded.data.toString('latin1') : ''
      const variables = template.explain(context)
      if (options.json) {
        printJson({ template: source, data, dataHex: Buffer.from(data, 'latin1').toString('hex'), variables })
        return
      }
      print(`data: ${visible(data)}`)
      const width = Math.max(0, ...variables.map(({ expression }) => expression.length))
      for (const { expression, value } of variables) {
        print(`  ${expression.padEnd(width)}  ${value === null ? '(no value)' : `"${visible(value)}"`}`)
      }
    },
  )
}
