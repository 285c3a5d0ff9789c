#!/usr/bin/env node
/**
 * The command `xkeys`: words to commands, errors to lines, outcomes to exit codes.
 * @module
 */
import { Command, CommanderError } from 'commander'
import { ConfigError, formatIssue } from '../errors.ts'
import { VERSION } from '../version.ts'
import { addCheckCommand } from './check.ts'
import { EXIT, RefusedError, UsageError } from './exit.ts'
import { addFleetCommand } from './fleet.ts'
import { addKeyCommand } from './key.ts'
import { addKeyringCommand } from './keyring.ts'
import { addRotateCommand } from './rotate.ts'
import { addRunCommand } from './run.ts'
import { addSealCommand } from './seal.ts'
import { addSignCommand } from './sign.ts'
import { addTemplateCommand } from './template.ts'
import { addUnsealCommand } from './unseal.ts'
import { addUserCommand } from './user.ts'
import { addVerifyCommand } from './verify.ts'

const program = new Command('xkeys')
  .description('Shared-key authentication between SIP systems.')
  .version(VERSION)
  .configureHelp({ sortSubcommands: false })
  .configureOutput({
    // One error, one line: commander puts "(Did you mean …?)" on a second one.
    outputError: (text, write) => write(text.replace(/^error: /, 'xkeys: ').replace(/\n(?=\()/g, ' ')),
  })
  .exitOverride()
addTemplateCommand(program)
addSignCommand(program)
addVerifyCommand(program)
addKeyCommand(program)
addKeyringCommand(program)
addRotateCommand(program)
addFleetCommand(program)
addSealCommand(program)
addUnsealCommand(program)
addUserCommand(program)
addCheckCommand(program)
addRunCommand(program)
inherit(program)

/** Commands made with `command()` before a setting was changed keep the old one. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command)
    inherit(child)
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof UsageError) {
    process.stderr.write(`xkeys: ${error.message}\n`)
    return EXIT.usage
  }
  if (error instanceof RefusedError) {
    process.stderr.write(`xkeys: ${error.message}\n`)
    return EXIT.refused
  }
  if (error instanceof ConfigError) {
    for (const issue of error.issues) process.stderr.write(`xkeys: ${formatIssue(issue)}\n`)
    return EXIT.config
  }
  if (error instanceof Error && 'syscall' in error) {
    process.stderr.write(`xkeys: ${error.message}\n`)
    return EXIT.config
  }
  process.stderr.write(`xkeys: bug: ${error instanceof Error ? error.message : String(error)}\n`)
  return EXIT.bug
}

// A reader that closes the pipe early (`xkeys … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok)
  process.stderr.write(`xkeys: cannot write to standard output (${error.code ?? error.message})\n`)
  process.exit(EXIT.bug)
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}
