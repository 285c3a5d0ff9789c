import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { openSqlDatabase } from '../../src/stores/sql-database.ts'
import { isSqlUrl, parseSqlUrl } from '../../src/stores/sql-url.ts'
import { errorOf } from '../keyring/error-of.ts'

describe('the URL of a database', () => {
  it.each([
    ['sqlite:accounts.db', '/srv/accounts.db', 'sqlite:accounts.db'],
    ['sqlite:/var/lib/a.db', '/var/lib/a.db', 'sqlite:/var/lib/a.db'],
    ['sqlite:///var/lib/a.db', '/var/lib/a.db', 'sqlite:/var/lib/a.db'],
    ['SQLITE:a b%20.db', '/srv/a b%20.db', 'sqlite:a b%20.db'],
  ])('%s is a file', (url, path, name) => {
    expect(parseSqlUrl(url, { folder: '/srv' })).toEqual({ engine: 'sqlite', path, name })
  })

  it.each([
    ['mysql://u:p@db.example/k', { engine: 'mysql', host: 'db.example', port: 3306, password: 'p' }],
    ['mariadb://u@[::1]:3307/k', { engine: 'mysql', host: '::1', port: 3307, password: '' }],
    ['postgres://u%40x:%2F%3A%25@127.0.0.1/k', { engine: 'postgres', user: 'u@x', password: '/:%' }],
    ['postgresql://u@h/my%20db', { engine: 'postgres', port: 5432, database: 'my db' }],
    ['mysql://u@h/k?socket=run/s.sock', { socket: '/srv/run/s.sock', tls: undefined }],
    ['postgres://u@h/k?tls=on', { tls: { ca: undefined } }],
    ['postgres://u@h/k?ca=ca.pem', { tls: { ca: '/srv/ca.pem' } }],
  ])('%s is a server', (url, expected) => {
    expect(parseSqlUrl(url, { folder: '/srv' })).toMatchObject(expected)
  })

  it('may have its password beside it', () => {
    expect(parseSqlUrl('mysql://u@h/k', { password: 'p' })).toMatchObject({
      password: 'p',
      name: 'mysql://u@h/k',
    })
  })

  it.each([
    ['', 'must begin with'],
    ['users.toml', 'must begin with'],
    ['oracle://u@h/k', 'must begin with'],
    ['constructor://u@h/k', 'must begin with'],
    ['sqlite:', 'must name a file'],
    ['sqlite::memory:', 'must name a file'],
    ['sqlite:a.db?mode=ro', 'no parameters'],
    ['mysql:u@h/k', 'cannot be read'],
    ['mysql://u:hunter2@h:99999/k', 'cannot be read'],
    ['mysql://h/k', 'names no user'],
    ['mysql://u:hunter2@h', 'names no database'],
    ['mysql://u:hunter2@h/a/b', 'names no database'],
    ['mysql://u:hunter2%@h/k', 'begins no escape'],
    ['mysql://u:hunter2@h/k#x', 'has a #'],
    ['mysql://u:hunter2@h/k?tsl=on', 'did you mean'],
    ['mysql://u:hunter2@h/k?tls=yes', 'tls is "on"'],
  ])('%s is none', (url, told) => {
    const error = errorOf(() => parseSqlUrl(url.replace('tsl', 'sockt')))
    expect(error.code).toBe('ERR_CONFIG_INVALID')
    expect(error.message).toContain(told)
    expect(inspect(error, { showHidden: true })).not.toContain('hunter2')
  })

  it('is told with every fault at once', () => {
    const error = errorOf(() => parseSqlUrl('mysql://h?tls=no&x=1', { password: 'p' }))
    expect(error.issues.map(({ message }) => message.split(':')[0])).toEqual([
      'names no user',
      'names no database',
      'has no parameter "x"',
      'tls is "on", or is not there',
    ])
  })

  it.each([
    ['sqlite:x', true],
    ['mysql://h', true],
    ['http://h', true],
    ['users.toml', false],
    ['/etc/users.toml', false],
    ['C:users.toml', false],
  ])('%s is meant as one: %s', (text, is) => {
    expect(isSqlUrl(text)).toBe(is)
  })
})

describe('a database', () => {
  it('has numbers that are checked', async () => {
    await expect(
      openSqlDatabase({ url: 'sqlite:x', poolSize: 0, maxQueue: 1.5, timeoutMs: Number.NaN }, 'read'),
    ).rejects.toMatchObject({ issues: [{ path: 'poolSize' }, { path: 'maxQueue' }, { path: 'timeoutMs' }] })
  })

  it('has an authority that can be read', async () => {
    await expect(
      openSqlDatabase({ url: 'postgres://u@127.0.0.1/k?ca=/nowhere/ca.pem' }, 'read'),
    ).rejects.toMatchObject({
      issues: [{ path: 'url', message: 'the certificate authority cannot be read (ENOENT)' }],
    })
  })
})
