import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { STATEMENT_KINDS, type StatementKind } from '../../../contract/role.ts'
import { readSql, READINGS } from './sql-words.ts'
import { canBeJudged, judge, LONGEST_JUDGED, statementRefusal } from './statement-rules.ts'

const [PLAIN] = READINGS
if (!PLAIN) throw new Error('no reading')
const words = (sql: string): readonly (readonly string[])[] | null => readSql(sql, PLAIN)?.statements ?? null
const refused = (sql: string, denied: readonly StatementKind[]): string | null =>
  statementRefusal(Buffer.from(sql), denied)

describe('words of a text', () => {
  test.each<[string, readonly (readonly string[])[] | null]>([
    ['select 1', [['SELECT', '1']]],
    [
      'select 1; drop table t;',
      [
        ['SELECT', '1'],
        ['DROP', 'TABLE', 'T'],
      ],
    ],
    ["select '; drop table t'", [['SELECT']]],
    ["select 'it''s; drop', x", [['SELECT', 'X']]],
    ['select `drop table`, "drop"', [['SELECT']]],
    ['select 1 -- drop\n, x', [['SELECT', '1', 'X']]],
    ['select 1 # drop\n, x', [['SELECT', '1', 'X']]],
    ['select 1--drop', [['SELECT', '1', 'DROP']]],
    ['select 1 --', [['SELECT', '1']]],
    ['select 1 --\u00e9', null],
    ['/* drop /* not nested */ select 1', [['SELECT', '1']]],
    ['/* drop', []],
    ['/*! drop */ table t', [['DROP', 'TABLE', 'T']]],
    ['/*!50100 drop table t', null],
    ["/*!99999 ' */ drop table t -- '", null],
    ['/*!99999 */ drop table t -- */', [['DROP', 'TABLE', 'T']]],
    ['/*M!100100 select */ 1', [['SELECT', '1']]],
    ['/*! select /*! 1 */ */', null],
    ['/*! select 1; */ drop', null],
    ["select 1; select 'abc", [['SELECT', '1']]],
    ['drop\u00a0table t', null],
    ['(select 1)', [['(', 'SELECT', '1']]],
    ['', []],
    [';;', []],
  ])('%s', (sql, expected) => {
    expect(words(sql)).toEqual(expected)
  })
})

describe('kinds of statements', () => {
  test.each<[string, readonly StatementKind[] | 'unclear' | 'holds_text']>([
    ['select * from t for update', []],
    ['(select 1) union (select 2)', []],
    ["select replace(a, 'x', 'y'), insert(a, 1, 2, 'z'), truncate(1.5, 0) from t", []],
    ['insert into t values (1) on duplicate key update a = 2', ['write']],
    ['replace into t values (1)', ['write']],
    ['with x as (select 1) delete from t', ['write']],
    ['analyze format=json update t set a = 1', ['write']],
    ['explain delete from t', ['write']],
    ['truncate t', ['ddl', 'write']],
    ["binlog 'aaaa'", ['write']],
    ['create table t (a int references u on delete cascade on update cascade)', ['ddl']],
    ['create or replace view v as select 1', ['ddl']],
    ['optimize table t', ['ddl']],
    ['analyze local table t', ['ddl']],
    ['create user mallory', ['ddl', 'dcl']],
    ['drop role if exists r', ['ddl', 'dcl']],
    ['rename user a to b', ['ddl', 'dcl']],
    ['grant all on *.* to mallory', ['dcl']],
    ["set password = 'x'", ['dcl']],
    ['set default role r for u', ['dcl']],
    ['set role r', ['dcl']],
    ['set statement max_statement_time=1 for drop table t', ['ddl']],
    ["select 1 into outfile '/tmp/x'", ['copy']],
    ["set @a = load_file('/etc/passwd')", ['copy']],
    ["load data infile '/tmp/x' into table t", ['copy', 'write']],
    ['call p()', ['procedure']],
    ['create procedure p() select 1', ['ddl', 'procedure']],
    ["prepare s from 'drop table t'", 'holds_text'],
    ["execute immediate concat('dr', 'op table t')", 'holds_text'],
    ['begin not atomic drop table t; end', 'unclear'],
    ['begin', []],
    ['begin work', []],
    ['if 1 then drop table t; end if', 'unclear'],
    ['delimiter //', 'unclear'],
    ['change master to x', 'unclear'],
    ['shutdown', 'unclear'],
    ['show create table t', []],
    ['commit and chain', []],
    ['lock tables t write', []],
  ])('%s', (sql, expected) => {
    const verdict = judge(words(sql)?.[0] ?? [])
    expect(typeof verdict === 'string' ? verdict : [...verdict].sort()).toEqual(
      typeof expected === 'string' ? expected : expected.toSorted(),
    )
  })
})

describe('what is not passed on', () => {
  test.each<[string, readonly StatementKind[]]>([
    ['select 1; drop table t', ['ddl']],
    ['/*!50100 drop table t */', ['ddl']],
    ['/*!99999 select */ drop table t', ['ddl']],
    ['select 1 /*!50100 into outfile "/tmp/x" */', ['copy']],
    ['create table t (a int) /*!99999 */', ['ddl']],
    ["select 'a\\'; drop table t; -- '", ['ddl']],
    ['select "a\\"; drop table t; -- "', ['ddl']],
    ["select '\\\\'; drop table t -- '", ['ddl']],
    ['create procedure p() begin grant all on *.* to mallory; end', ['dcl']],
    ["create event e on schedule every 1 day do execute immediate 'x'", ['dcl']],
    ['prepare s from @x', ['dcl']],
    ["execute immediate 'grant all on *.* to mallory'", ['dcl']],
    ['begin not atomic grant all on *.* to mallory; end', ['dcl']],
    ['set names gbk', ['dcl']],
    ["set names 'sjis'", ['dcl']],
    ['set a = 1, names big5', ['dcl']],
    ['set character set cp932', ['dcl']],
    ['set @@session.character_set_client = gb18030', ['dcl']],
    ['set `character_set_client` = @x', ['dcl']],
    ['/*!40101 set character_set_client = @x */', ['dcl']],
    ["set sql_mode = 'no_backslash_escapes'; select 'a\\'; grant all on *.* to mallory -- '", ['dcl']],
    ["call p(); select 'a\\'", ['dcl']],
    ['select 1\0', ['dcl']],
    ['purge binary logs to x', ['write']],
    [`select '${'x'.repeat(LONGEST_JUDGED)}'`, ['dcl']],
  ])('%.80s', (sql, denied) => {
    expect(refused(sql, denied)).not.toBeNull()
  })

  test.each<[string, readonly StatementKind[]]>([
    ["insert into t values ('it\\'s; drop table t')", ['ddl']],
    ["insert into t values ('drop table t')", ['ddl']],
    ['set names utf8mb4', ['dcl']],
    ["SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'", ['dcl']],
    ['/*!40101 SET NAMES utf8mb4 */', ['dcl']],
    ['/*!40101 SET @saved_cs_client = @@character_set_client */;', ['dcl']],
    ['/*!40101 SET character_set_client = utf8 */', ['dcl']],
    ["/*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */", ['dcl']],
    ['select /*!40001 SQL_NO_CACHE */ * from t', ['ddl', 'write']],
    ['select @@character_set_client, @@sql_mode', ['dcl']],
    ['set autocommit = 0', ['dcl']],
    ['create procedure p() begin if 1 then select 1; end if; end', ['dcl']],
    ['select /*+ no_index_merge(t) */ 1', ['ddl']],
    ['', ['ddl']],
    ['-- nothing', ['ddl']],
  ])('passed on: %s', (sql, denied) => {
    expect(refused(sql, denied)).toBeNull()
  })

  test('everything where nothing is denied', () => {
    expect(refused('begin not atomic drop table t; end', [])).toBeNull()
  })

  test('connections whose characters may hold a quote are not judged', () => {
    expect([8, 33, 45, 255].every(canBeJudged)).toBe(true)
    expect([1, 13, 28, 95, 248].some(canBeJudged)).toBe(false)
  })
})

describe('a denied statement is refused', () => {
  const DENIED: readonly [string, StatementKind][] = [
    ['drop table t', 'ddl'],
    ['GRANT ALL ON *.* TO m', 'dcl'],
    ['insert into t values (1)', 'write'],
    ["select 1 into outfile '/x'", 'copy'],
    ['call p()', 'procedure'],
  ]
  const blank = fc.constantFrom(' ', '\n', '\t', '/**/', '/* ; */', '-- x\n', '# y\n', ' /*+ h */ ')

  test('however it is spaced, and wherever in a text it stands', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...DENIED),
        fc.array(
          fc.constantFrom("select '\\''", 'select `a;b`', 'show tables', 'select 1 -- ;\n', '/*!50000 select 1 */'),
          {
            maxLength: 3,
          },
        ),
        fc.infiniteStream(blank),
        ([sql, kind], before, blanks) => {
          const spaced = sql.split(' ').reduce((text, word) => `${text}${String(blanks.next().value)}${word}`)
          expect(refused([...before, spaced].join(';'), [kind])).not.toBeNull()
        },
      ),
      { numRuns: 300 },
    )
  })

  test('no text takes long or throws', () => {
    const hostile = fc.string({
      unit: fc.constantFrom("'", '"', '`', '/', '*', '!', '-', '#', ';', '\\', 'a', '\n', ' ', '5'),
    })
    fc.assert(
      fc.property(hostile, (sql) => {
        const answer = refused(sql, STATEMENT_KINDS)
        expect(answer === null || answer.length > 0).toBe(true)
      }),
      { numRuns: 500 },
    )
    for (const text of ["'", '/*', '/*!', '`', '--', '(', 'a ', ';', "\\'"])
      expect(refused(text.repeat(100_000), ['ddl']) ?? '').toBeTypeOf('string')
  })
})
