import { displayWidth, fitTo } from './display-width.ts'
import { harmless } from './harmless.ts'

export interface Column<T> {
  readonly head: string
  readonly cell: (row: T) => string
  /** Cells that may be cut to fit the terminal; ids never are. */
  readonly shrinks?: true
}

const GAP = 2
const NARROWEST = 8

/**
 * Rows under heads, each cell one harmless line. `width` = terminal columns, or null where nothing reads it as a screen:
 * then nothing is cut. When even shrunk columns do not fit, each row is printed as a block of `Head: cell` lines.
 */
export function renderTable<T>(columns: readonly Column<T>[], rows: readonly T[], width: number | null): string {
  const cells = rows.map((row) => columns.map((column) => harmless(column.cell(row))))
  const natural = columns.map((column, index) =>
    Math.max(displayWidth(column.head), ...cells.map((row) => displayWidth(row[index] ?? ''))),
  )
  const widths = width === null ? natural : fitWidths(columns, natural, width)
  if (widths === null) return renderBlocks(columns, cells)
  const line = (parts: readonly string[]): string =>
    parts
      .map((part, index) => {
        const fitted = fitTo(part, widths[index] ?? 0)
        return index === parts.length - 1 ? fitted : fitted + ' '.repeat((widths[index] ?? 0) - displayWidth(fitted))
      })
      .join(' '.repeat(GAP))
      .trimEnd()
  const rule = widths.map((size) => '-'.repeat(size))
  return [line(columns.map((column) => column.head)), line(rule), ...cells.map(line)].join('\n')
}

function fitWidths(columns: readonly Column<never>[], natural: readonly number[], width: number): number[] | null {
  const widths = [...natural]
  const smallest = (index: number): number =>
    Math.min(natural[index] ?? 0, Math.max(NARROWEST, columns[index]?.head.length ?? 0))
  let over = widths.reduce((sum, size) => sum + size, GAP * (widths.length - 1)) - width
  while (over > 0) {
    let widest = -1
    columns.forEach((column, index) => {
      const size = widths[index] ?? 0
      if (column.shrinks && size > smallest(index) && size > (widths[widest] ?? 0)) widest = index
    })
    if (widest === -1) return null
    widths[widest] = (widths[widest] ?? 0) - 1
    over -= 1
  }
  return widths
}

function renderBlocks(columns: readonly Column<never>[], cells: readonly (readonly string[])[]): string {
  return cells
    .map((row) => columns.map((column, index) => `${column.head}: ${row[index] ?? ''}`).join('\n'))
    .join('\n\n')
}

/** `Head:  value` lines with aligned values; a value of several lines goes on below, indented, marked with `|`. */
export function renderFields(fields: readonly (readonly [string, string | readonly string[]])[]): string {
  const size = Math.max(...fields.map(([head]) => head.length)) + 1
  const lines = fields.flatMap(([head, value]) => {
    const start = `${`${head}:`.padEnd(size)} `
    if (typeof value === 'string') return [`${start}${harmless(value)}`]
    const indent = ' '.repeat(size + 1)
    return value.map((part, index) => `${index === 0 ? start : indent}${harmless(part)}`)
  })
  return lines.map((line) => line.trimEnd()).join('\n')
}
