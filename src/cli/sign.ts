/**
 * `xkeys sign`: add a token to a message.
 * @module
 */
import type { Command } from 'commander'
import { editHeaders } from '../message/edit.ts'
import { viewOf } from '../message/view.ts'
import { createSigner } from '../xkeys/sign.ts'
import { EXIT } from './exit.ts'
import { printJson, readInputs } from './io.ts'
import {
  addAgreementOptions,
  addContextOptions,
  readAgreement,
  readContext,
  type AgreementOptions,
  type ContextOptions,
} from './message-options.ts'

/** Adds the command. */
export function addSignCommand(program: Command): void {
  const command = program
    .command('sign')
    .summary('add a token to a message')
    .description(
      'Prints the message with its token header; tokens that are there go. Exit 1 where it cannot be signed.',
    )
    .argument('[file]', 'the message; standard input where absent')
    .option('--json', 'the header, token and key as one JSON object, without the message')
    .addHelpText(
      'after',
      "\nExample:\n  xkeys sign --keyring keyrings/demo.toml --group trunk-a --template '$Ri:$fu:$ru' --local 127.0.0.1:5060 < invite.sip",
    )
  addAgreementOptions(addContextOptions(command)).action(
    async (file: string | undefined, options: ContextOptions & AgreementOptions & { json?: true }) => {
      const [input] = readInputs(file === undefined ? [] : [file])
      const context = readContext(input!.bytes, options)
      const fail = (reason: string): void => {
        process.stderr.write(`xkeys: ${input!.name}: ${reason}\n`)
        process.exitCode = EXIT.refused
      }
      if (typeof context === 'string') return fail(context)
      const { agreement, keyring } = await readAgreement(options, context.message.kind)
      const { now } = options
      const signer = createSigner({ agreement, keyring, ...(now && { now: () => now }) })
      const result = signer.sign(context)
      if (options.json) {
        printJson(result)
        if (!result.ok) process.exitCode = EXIT.refused
        return
      }
      if (!result.ok) return fail(`not signed: ${result.reason}`)
      const { bytes, layout } = viewOf(context.message)
      const whole = bytes.subarray(layout.messageStart, layout.end)
      process.stdout.write(
        editHeaders(whole, { remove: [result.header], add: [[result.header, result.token]] }),
      )
    },
  )
}
