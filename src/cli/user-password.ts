/**
 * Passwords as commands get them: typed at a terminal, from a file, from standard input, or made. Never from the command
 * line, which every user of the machine can read.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { Option, type Command } from 'commander'
import { UsageError } from './exit.ts'
import { readInput } from './io.ts'

/** The options of `addPasswordOptions`. */
export interface PasswordOptions {
  readonly passwordFile?: string
  readonly generate?: true
  readonly plain?: true
}

/** A password, and whether it was made here. */
export interface GivenPassword {
  readonly password: string
  readonly source: 'given' | 'generated'
}

/** Bytes of a password that is made: 144 random bits. */
const GENERATED = 18
const MAX_BYTES = 255

/** Adds the options that say where the password is. */
export function addPasswordOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--password-file <path>',
        'the password is in this file, "-" being standard input; one newline at its end is cut',
      ).conflicts('generate'),
    )
    .option('--generate', 'make a password and print it, this once')
    .option('--plain', 'store the password as it is, too: for servers that compute HA1 themselves')
}

/**
 * The password that the options name; without any it is asked for at the terminal, without being shown.
 * @throws UsageError where there is no terminal, the two typed ones differ, or it cannot be a password
 */
export async function readPassword(options: PasswordOptions): Promise<GivenPassword> {
  if (options.generate) return { password: randomBytes(GENERATED).toString('base64url'), source: 'generated' }
  if (options.passwordFile !== undefined) {
    const password = decode(readInput(options.passwordFile)).replace(/\r?\n$/, '')
    return { password: checked(password), source: 'given' }
  }
  if (!process.stdin.isTTY)
    throw new UsageError('there is no terminal to ask for the password: give --password-file or --generate')
  const password = checked(await ask('Password: '))
  if ((await ask('Again: ')) !== password) throw new UsageError('the two passwords differ')
  return { password, source: 'given' }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new UsageError('the password is not UTF-8')
  }
}

/** @throws UsageError where a phone could not send it, or a file not hold it */
function checked(password: string): string {
  if (password === '') throw new UsageError('the password is empty')
  if (Buffer.byteLength(password) > MAX_BYTES) throw new UsageError('the password is longer than 255 bytes')
  if (/\p{Cc}/u.test(password)) throw new UsageError('the password has a control character in it')
  return password
}

/** Reads a line from the terminal while it echoes nothing. */
function ask(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  return new Promise((resolve, reject) => {
    let line = ''
    const finish = (end: () => void): void => {
      stdin.off('data', take)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
      end()
    }
    const take = (chunk: string): void => {
      for (const char of chunk) {
        if (char === '\r' || char === '\n') return finish(() => resolve(line))
        // Control-C, Control-D.
        if (char === '\u0003' || char === '\u0004')
          return finish(() => reject(new UsageError('no password was typed')))
        if (char === '\u007f' || char === '\b') line = Array.from(line).slice(0, -1).join('')
        else line += char
      }
    }
    stdin.setEncoding('utf8')
    stdin.setRawMode(true)
    stdin.on('data', take)
    stdin.resume()
    stderr.write(prompt)
  })
}
