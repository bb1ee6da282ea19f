import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StatementKind } from '../../../contract/role.ts'
import { sqlWords } from './sql-words.ts'
import { kindsOf, statementRefusal } from './statement-rules.ts'

const NOTHING = { denied: [], readOnly: false } as const

describe('words of a text', () => {
  test.each<[string, readonly (readonly string[])[]]>([
    ['select 1', [['SELECT']]],
    ['select 1; drop table t;', [['SELECT'], ['DROP', 'TABLE', 'T']]],
    ["select '; drop table t'", [['SELECT']]],
    ["select 'it''s; drop', x", [['SELECT', 'X']]],
    ["select 'a\\'; drop table t; --'", [['SELECT'], ['DROP', 'TABLE', 'T']]],
    ["select e'a\\'; drop table t; --'", [['SELECT']]],
    ['select "drop table"', [['SELECT']]],
    ['select $$; drop $$, x', [['SELECT', 'X']]],
    ['select $a$ $$; drop $b$ $a$, x', [['SELECT', 'X']]],
    ['select a$b$c from t', [['SELECT', 'A$B$C', 'FROM', 'T']]],
    ['select $1, x', [['SELECT', 'X']]],
    ['-- drop\nselect 1', [['SELECT']]],
    ['/* drop /* nested */ drop */ select 1', [['SELECT']]],
    ['/* drop', []],
    ['dr/**/op table t', [['DR', 'OP', 'TABLE', 'T']]],
    ["select 1e5, 0x1f, 'x'", [['SELECT']]],
    ['set U&"r\\006fle" to x', [['SET', 'U&', 'TO', 'X']]],
    ['ünlock', [['ÜNLOCK']]],
    ['', []],
    [';;', []],
  ])('%s', (sql, words) => {
    expect(sqlWords(sql)).toEqual(words)
  })

  test('no text takes long or does anything but give words', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("'", '"', '$', 'e', 'E', '/', '*', '-', ';', '\\', 'a', '\n', ' ') }),
        (sql) => {
          expect(Array.isArray(sqlWords(sql))).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
    expect(sqlWords("'".repeat(100_001)).length).toBe(0)
    expect(sqlWords('/*'.repeat(50_000)).length).toBe(0)
  })
})

describe('kinds of statements', () => {
  test.each<[string, readonly StatementKind[]]>([
    ['select * from t', []],
    ['select * from t for update', []],
    ['select * from t for no key update of t', []],
    ['insert into t values (1)', ['write']],
    ['with x as (delete from t returning *) select * from x', ['write']],
    ['explain analyze update t set a = 1', ['write']],
    ['prepare p as delete from t', ['write']],
    ['merge into t using s on true when matched then delete', ['write']],
    ['truncate t', ['write', 'ddl']],
    ['select * into u from t', ['write', 'ddl']],
    ['create table t (a int)', ['ddl']],
    ['explain analyze create table t as select 1', ['write', 'ddl']],
    ['refresh materialized view v', ['ddl']],
    ['create role mallory', ['ddl', 'dcl']],
    ['alter table t owner to mallory', ['ddl', 'dcl']],
    ['grant all on t to mallory', ['dcl']],
    ['set role postgres', ['dcl']],
    ['set session authorization postgres', ['dcl']],
    ['copy t to stdout', ['copy']],
    ['copy t from stdin', ['write', 'copy']],
    ["copy t to program 'sh'", ['copy', 'copy_program']],
    ['do $$ begin end $$', ['procedure']],
    ['call p()', ['procedure']],
  ])('%s', (sql, kinds) => {
    expect(sqlWords(sql).flatMap(kindsOf)).toEqual(kinds)
  })
})

describe('what is not passed on', () => {
  test('a kind that is denied, in whichever statement of the text it stands', () => {
    const rules = { denied: ['ddl'], readOnly: false } as const
    expect(statementRefusal('select 1; drop table t', rules)).toMatch(/DDL/)
    expect(statementRefusal('insert into t values (1)', rules)).toBeNull()
  })

  test.each([
    'set default_transaction_read_only = off',
    'SET "transaction_read_only" TO off',
    'begin read write',
    'start transaction read /* */ write',
    'set session characteristics as transaction read write',
    "select set_config('transaction_' || 'read_' || 'only', 'off', false)",
    "select SET_CONFIG('x', 'off', false)",
    'select U&"set\\005fconfig"()',
    'do $$ begin end $$',
    'call p()',
    "copy t to program 'sh'",
    'set names latin1',
    'set client_encoding to sjis',
    'set standard_conforming_strings = off',
    'set session authorization postgres',
  ])('read-only: %s', (sql) => {
    expect(statementRefusal(sql, { denied: [], readOnly: true })).not.toBeNull()
  })

  test.each([
    'select 1',
    'show transaction_read_only',
    'begin isolation level repeatable read, read only',
    "set client_encoding to 'UTF8'",
    'set standard_conforming_strings = on',
    'copy t to stdout',
    'insert into t values (1)',
    'reset all',
    "set datestyle = 'ISO'",
  ])('read-only is left to the server for: %s', (sql) => {
    expect(statementRefusal(sql, { denied: [], readOnly: true })).toBeNull()
  })

  test('without rules nothing but what would change how texts are read', () => {
    expect(statementRefusal('drop table t', NOTHING)).toBeNull()
  })
})
