import { expect, test } from 'vitest'
import { displayWidth } from './display-width.ts'
import { renderFields, renderTable, type Column } from './table.ts'

interface Row {
  id: string
  text: string
}
const columns: Column<Row>[] = [
  { head: 'Id', cell: (row) => row.id },
  { head: 'Text', cell: (row) => row.text, shrinks: true },
  { head: 'State', cell: () => 'OPEN' },
]
const rows = [
  { id: 'req_1', text: 'short' },
  { id: 'req_2', text: 'a long text that does not fit on a narrow screen\nforged line' },
]

test('columns are as wide as their widest cell where no screen limits them', () => {
  expect(renderTable(columns, rows, null)).toMatchInlineSnapshot(`
    "Id     Text                                                           State
    -----  -------------------------------------------------------------  -----
    req_1  short                                                          OPEN
    req_2  a long text that does not fit on a narrow screen\\nforged line  OPEN"
  `)
})

test('a table fits the terminal: cells that may shrink do, ids never', () => {
  const table = renderTable(columns, rows, 40)
  expect(Math.max(...table.split('\n').map(displayWidth))).toBeLessThanOrEqual(40)
  expect(table).toMatchInlineSnapshot(`
    "Id     Text                        State
    -----  --------------------------  -----
    req_1  short                       OPEN
    req_2  a long text that does not…  OPEN"
  `)
})

test('a terminal too narrow for any table gets a block for each row', () => {
  expect(renderTable(columns, rows.slice(0, 1), 10)).toBe('Id: req_1\nText: short\nState: OPEN')
})

test('wide characters take two cells', () => {
  expect(renderTable(columns, [{ id: '漢字', text: 'x' }], null).split('\n')[2]).toBe('漢字  x     OPEN')
})

test('a value cannot pretend to be a field of its own', () => {
  expect(renderFields([['Reason', 'x\nState: approved']])).toBe('Reason: x\\nState: approved')
})
