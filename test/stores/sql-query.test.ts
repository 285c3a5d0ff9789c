import { describe, expect, it } from 'vitest'
import { compileSqlQuery } from '../../src/stores/sql-query.ts'
import { compileSubscriber } from '../../src/stores/sql-subscriber.ts'
import type { SubscriberOptions } from '../../src/stores/sql-subscriber-options.ts'
import { errorOf } from '../keyring/error-of.ts'

const told = (sql: string): readonly string[] =>
  errorOf(() => compileSqlQuery(sql, 'mysql')).issues.map(({ path, line, message }) => {
    expect(path).toBe('query')
    return `${line ?? 0}: ${message}`
  })

describe("an operator's own SELECT", () => {
  it.each([
    'SELECT p FROM t WHERE n = :id',
    'select p, a from t where n = :id and d = :domain;',
    'SELECT p FROM t WHERE n = :authid ; ',
    '-- what we ask\nSELECT p FROM t /* of :x ; */ WHERE n = :id',
    'SELECT p FROM t WHERE n = :id AND x = \':y;\' AND ":z" = `;`',
    "SELECT p FROM t WHERE n = :id AND x = 'it''s; :here'",
    'SELECT p FROM t WHERE n = :id::text',
    'WITH a AS (SELECT 1) SELECT p FROM a WHERE n = lower(:id)',
  ])('may be %s', (sql) => {
    expect(() => compileSqlQuery(sql, 'postgres')).not.toThrow()
  })

  it.each([
    ['', ['0: must be one SELECT', '0: asks for nobody: bind :id, or :authid']],
    ['DELETE FROM t WHERE n = :id', ['0: must be one SELECT']],
    ['SELECT p FROM t', ['0: asks for nobody: bind :id, or :authid']],
    ['SELECT p FROM t WHERE n = :id; DROP TABLE t', ['1: has more than one statement']],
    ['SELECT p\nFROM t WHERE n = :id\nAND d = :domian', ['3: :domian is not known: did you mean :domain?']],
    ["SELECT p FROM t WHERE n = ':id'", ['0: asks for nobody: bind :id, or :authid']],
    ["SELECT p FROM t WHERE n = :id AND x = 'y", ['1: has a quote that is not closed']],
    [
      String.raw`SELECT p FROM t WHERE n = :id AND x = '\' OR :id'`,
      [
        '1: has a backslash in quotes, which engines read in different ways',
        '1: has a quote that is not closed',
      ],
    ],
    ['SELECT p FROM t WHERE n = :id) AS x', ['1: closes a parenthesis that is not open']],
    ['SELECT p FROM (t WHERE n = :id', ['1: leaves a parenthesis open']],
    [
      'SELECT p FROM t WHERE n = ? OR n = :id',
      ['1: has a ? outside of quotes: values are bound as :id, :domain, :authid'],
    ],
    [
      'SELECT $x FROM t WHERE n = :id',
      ['1: has a $ outside of quotes: values are bound as :id, :domain, :authid'],
    ],
    [
      'SELECT p FROM t WHERE n = :id # x',
      ['1: has a # outside of quotes: values are bound as :id, :domain, :authid'],
    ],
    ['SELECT p /*! , x */ FROM t WHERE n = :id', ['1: has a comment that engines read in different ways']],
    ['SELECT p /* /* */ */ FROM t WHERE n = :id', ['1: has a comment that engines read in different ways']],
    [
      'SELECT p /* FROM t WHERE n = :id',
      ['1: has a comment that engines read in different ways', '0: asks for nobody: bind :id, or :authid'],
    ],
    [
      'SELECT 1--1 FROM t WHERE n = :id',
      ['1: has a comment that engines read in different ways', '0: asks for nobody: bind :id, or :authid'],
    ],
  ])('may not be %s', (sql, expected) => {
    expect(told(sql)).toEqual(expected)
  })
})

const paths = (options: SubscriberOptions): readonly string[] =>
  errorOf(() => compileSubscriber(options, 'mysql')).issues.map(({ path }) => path)

describe('a table of accounts', () => {
  it.each([
    ['a name that is SQL', { table: 'a; DROP TABLE b' }, ['subscriber.table']],
    ['a name with quotes', { columns: { ha1: 'ha1` --' } }, ['subscriber.columns.ha1']],
    ['three parts', { table: 'a.b.c' }, ['subscriber.table']],
    ['an empty name', { uriTable: '' }, ['subscriber.uriTable']],
    ['a status that nothing is', { status: { column: 's', active: [] } }, ['subscriber.status.active']],
    ['two places for identities', { identities: { column: 'a' }, uriTable: 'uri' }, ['subscriber.uriTable']],
    ['attributes of no form', { loadCredentials: 'a=b=c' }, ['subscriber.loadCredentials']],
    ['an attribute twice', { loadCredentials: 'a=b;a=c' }, ['subscriber.loadCredentials']],
    [
      'several at once',
      { table: '1', columns: { username: '-' }, registersFor: { column: 'x y' } },
      ['subscriber.table', 'subscriber.columns.username', 'subscriber.registersFor.column'],
    ],
  ])('with %s is refused', (_, options, expected) => {
    expect(paths(options)).toEqual(expected)
  })

  it('may be in a schema', () => {
    expect(() => compileSubscriber({ table: 'kamailio.subscriber' }, 'postgres')).not.toThrow()
  })
})
