/**
 * `xkeys verify`: judge messages.
 * @module
 */
import type { Command } from 'commander'
import { createVerifier } from '../xkeys/verify.ts'
import { EXIT } from './exit.ts'
import { print, printJson, readInputs } from './io.ts'
import {
  addAgreementOptions,
  addContextOptions,
  readAgreement,
  readContext,
  type AgreementOptions,
  type ContextOptions,
} from './message-options.ts'

/** Adds the command. */
export function addVerifyCommand(program: Command): void {
  const command = program
    .command('verify')
    .summary('judge messages by their token')
    .description(
      'Says of each message which key signed it, or why it is refused. Exit 1 where one is refused.',
    )
    .argument('[files...]', 'messages; standard input where none')
    .option('--json', 'one JSON object a message')
    .addHelpText(
      'after',
      "\nExample:\n  xkeys verify --keyring keyrings/demo.toml --group trunk-a --template '$si:$fu:$ru' --source 127.0.0.1:5060 < signed.sip",
    )
  addAgreementOptions(addContextOptions(command)).action(
    async (files: string[], options: ContextOptions & AgreementOptions & { json?: true }) => {
      for (const { name, bytes } of readInputs(files)) {
        const context = readContext(bytes, options)
        if (typeof context === 'string') {
          if (options.json)
            printJson({ message: name, ok: false, reason: 'message-unparsable', detail: context })
          else print(`${name}: refused: ${context}`)
          process.exitCode = EXIT.refused
          continue
        }
        const { agreement, keyring } = await readAgreement(options, context.message.kind)
        const { now } = options
        const result = createVerifier({ agreement, keyring, ...(now && { now: () => now }) }).verify(context)
        if (options.json) printJson({ message: name, ...result })
        else if (result.ok)
          print(`${name}: accepted: key ${result.key.name} of group ${result.key.group} (${result.state})`)
        else print(`${name}: refused: ${result.reason}`)
        if (!result.ok) process.exitCode = EXIT.refused
      }
    },
  )
}
