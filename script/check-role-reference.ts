// docs/roles.md holds a table of every field of a role with its default. This compares it with the schema: a field that is
// missing, one too many, or another default fails. `--print` writes the rows that the schema asks for.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { RoleDocument } from '../src/contract/role.ts'

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly default?: unknown
  readonly const?: unknown
}

const FEWEST = 50

/** `allow.request.thresholds[].approve` -> its default as the page writes it. */
function fieldsOf(schema: Schema, prefix: string): [string, string][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]): [string, string][] => {
    const path = `${prefix}${name}`
    const own: [string, string] = [path, defaultOf(field, schema.required?.includes(name) === true)]
    const below = field.items?.properties ? fieldsOf(field.items, `${path}[].`) : fieldsOf(field, `${path}.`)
    return [own, ...below]
  })
}

function defaultOf(field: Schema, required: boolean): string {
  if (required) return field.const === undefined ? 'required' : `required: \`${String(field.const)}\``
  return field.default === undefined ? '' : `\`${written(field.default)}\``
}

/** As YAML has it on one line. */
function written(value: unknown): string {
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' && /:/.test(value) ? `'${value}'` : String(value)
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`
  const entries = Object.entries(value).map(([key, each]) => `${key}: ${written(each)}`)
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`
}

const schema = z.toJSONSchema(RoleDocument, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as Schema
const fields = fieldsOf(schema, '').filter(([path]) => !['spec', 'metadata'].includes(path))

if (process.argv.includes('--print')) {
  for (const [path, value] of fields) process.stdout.write(`| \`${path}\` | ${value} |\n`)
} else {
  const page = readFileSync(resolve(import.meta.dirname, '../docs/roles.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([^`]+)` +\| *([^|]*?) *\| *([^|\n].*?) *\|$/gm)]
  const shown = new Map(rows.map(([, path = '', value = '']) => [path, value]))
  const problems = [
    ...(fields.length < FEWEST ? [`only ${fields.length} fields were found in the schema: the walk is broken`] : []),
    ...fields.flatMap(([path, value]) => {
      const found = shown.get(path)
      if (found === undefined) return [`${path} (default: ${value || 'none'}) has no row`]
      return found === value ? [] : [`${path} has the default ${found || 'none'}; the schema says ${value || 'none'}`]
    }),
    ...[...shown.keys()]
      .filter((path) => !fields.some(([field]) => field === path))
      .map((path) => `${path} is no field of a role`),
  ]
  for (const problem of problems) process.stdout.write(`docs/roles.md: ${problem}\n`)
  if (problems.length > 0) process.exitCode = 1
}
