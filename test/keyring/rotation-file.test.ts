import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Confirmation } from '../../src/keyring/rotation.ts'
import { confirmationsPath, loadConfirmations, saveConfirmation } from '../../src/stores/rotation-file.ts'
import { folderWith } from '../support/folder.ts'
import { errorOf } from './error-of.ts'

const confirmation = (peer: string, fingerprint = '0123abcd'): Confirmation => ({
  group: 'trunk-a',
  key: 'new',
  fingerprint,
  peer,
  at: new Date('2026-11-21T12:00:00.000Z'),
  by: 'ann',
})
const all = (): boolean => true

describe('confirmations', () => {
  it('are none where there is no file, and no directory', () => {
    expect(loadConfirmations(folderWith({}))).toEqual([])
    expect(loadConfirmations(join(folderWith({}), 'nowhere'))).toEqual([])
  })

  it('come back as they were saved, for nobody else to read, in a directory made for them', () => {
    const directory = join(folderWith({}), 'state')
    saveConfirmation(directory, confirmation('carrier'), all)
    saveConfirmation(directory, confirmation('branch'), all)
    expect(loadConfirmations(directory)).toEqual([confirmation('carrier'), confirmation('branch')])
    expect(statSync(confirmationsPath(directory)).mode & 0o777).toBe(0o600)
  })

  it('replace an earlier one of the same key and peer', () => {
    const directory = folderWith({})
    saveConfirmation(directory, confirmation('carrier'), all)
    saveConfirmation(directory, { ...confirmation('carrier'), by: 'bob' }, all)
    expect(loadConfirmations(directory)).toEqual([{ ...confirmation('carrier'), by: 'bob' }])
  })

  it('of keys that are gone are dropped by the next one', () => {
    const directory = folderWith({})
    saveConfirmation(directory, confirmation('carrier', 'aaaaaaaa'), all)
    saveConfirmation(directory, confirmation('carrier'), ({ fingerprint }) => fingerprint !== 'aaaaaaaa')
    expect(loadConfirmations(directory)).toEqual([confirmation('carrier')])
  })

  it.each([
    ['cut off', '{"version":1,"confirmations":[{"gro'],
    ['empty', ''],
    ['of another version', '{"version":2,"confirmations":[]}'],
    [
      'with a date that is none',
      '{"version":1,"confirmations":[{"group":"a","key":"k","fingerprint":"0","peer":"p","at":"yesterday","by":"b"}]}',
    ],
  ])('in a file that is %s are refused, and not taken for none', (_, text) => {
    const directory = folderWith({ 'rotation.json': text })
    expect(errorOf(() => loadConfirmations(directory)).issues).toEqual([
      { path: confirmationsPath(directory), message: 'it is damaged: remove it, and confirm again' },
    ])
  })

  it('are refused where the file cannot be read', () => {
    const directory = folderWith({})
    mkdirSync(confirmationsPath(directory))
    expect(errorOf(() => loadConfirmations(directory)).message).toContain('it cannot be read (EISDIR)')
  })

  it('in a damaged file are not written over', () => {
    const directory = folderWith({})
    writeFileSync(confirmationsPath(directory), 'damaged')
    errorOf(() => saveConfirmation(directory, confirmation('carrier'), all))
    expect(readFileSync(confirmationsPath(directory), 'utf8')).toBe('damaged')
  })
})
