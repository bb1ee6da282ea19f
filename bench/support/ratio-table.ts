import { machine, type Machine } from './machine.ts'

export interface Row {
  readonly case: string
  /** Whom we are compared with, or `limit` for an absolute one. */
  readonly peer: string
  /** Ours divided by the peer's (or the limit): median of the runs. */
  readonly ratio: number
  readonly min: number
  readonly max: number
  readonly runs: number
  /** 0: shown for comparison */
  readonly goal: number
  readonly better: 'higher' | 'lower'
  readonly holds: boolean
  /** Medians of what was measured, for people. */
  readonly ours: string
  readonly theirs: string
}

export interface Comparison {
  readonly case: string
  readonly peer: string
  readonly ours: readonly number[]
  /** One for each of ours, measured beside it; or one limit. */
  readonly theirs: readonly number[] | number
  readonly goal: number
  readonly better: 'higher' | 'lower'
  readonly unit: string
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

export function compare({ ours, theirs, goal, better, unit, ...names }: Comparison): Row {
  const against = typeof theirs === 'number' ? ours.map(() => theirs) : theirs
  const ratios = ours.map((value, run) => value / (against[run] ?? Number.NaN))
  const ratio = median(ratios)
  const show = (value: number): string => `${value >= 100 ? value.toFixed(0) : value.toFixed(2)} ${unit}`
  return {
    ...names,
    ratio: round(ratio),
    min: round(Math.min(...ratios)),
    max: round(Math.max(...ratios)),
    runs: ours.length,
    goal,
    better,
    holds: goal === 0 || (better === 'higher' ? ratio >= goal : ratio <= goal),
    ours: show(median(ours)),
    theirs: show(median(against)),
  }
}

const round = (value: number): number => Math.round(value * 1000) / 1000

export function printJson(rows: readonly Row[]): void {
  process.stdout.write(`${JSON.stringify({ machine: machine(), rows })}\n`)
}

/** Markdown, so that the table can stand in docs as it is printed. */
export function printTable(rows: readonly Row[]): void {
  const head = ['case', 'against', 'ratio', 'min', 'max', 'runs', 'goal', 'holds', 'ours', 'theirs']
  const cells = rows.map((row) => [
    row.case,
    row.peer,
    row.ratio.toFixed(2),
    row.min.toFixed(2),
    row.max.toFixed(2),
    String(row.runs),
    `${row.better === 'higher' ? '>=' : '<='} ${row.goal}`,
    row.holds ? 'yes' : 'NO',
    row.ours,
    row.theirs,
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)))
  const print = (line: readonly string[]): void =>
    void process.stdout.write(`| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`)
  process.stdout.write(`${describe(machine())}\n\n`)
  print(head)
  print(widths.map((width) => '-'.repeat(width)))
  for (const line of cells) print(line)
}

const describe = (m: Machine): string =>
  `${m.cpu}, ${m.cores} cores, ${m.memoryGiB} GiB, ${m.system}, Node ${m.node}, ${m.openssh}, ${m.date}`
