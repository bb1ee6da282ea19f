import { z } from 'zod'
import { formatDuration } from '../../src/contract/duration.ts'
import { configShape } from '../../src/foundation/config.ts'

interface Property {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Property>>
}

const schema = z.toJSONSchema(configShape, { io: 'input', unrepresentable: 'any' }) as Property & {
  readonly required?: readonly string[]
}

function rows(properties: Readonly<Record<string, Property>>, prefix: string): string[] {
  return Object.entries(properties).flatMap(([name, property]) => {
    const key = `\`${prefix}${name}\``
    const row = `| ${key} | ${(property.description ?? '').replaceAll('|', '\\|')} | ${defaultOf([...prefix.split('.').filter(Boolean), name])} |`
    return property.properties ? [row, ...rows(property.properties, `${prefix}${name}.`)] : [row]
  })
}

const defaults: unknown = configShape.parse({ data_dir: 'DATA_DIR' })

/** What the daemon uses when the file does not say; the schema's own default is the text before it was read. */
function defaultOf(path: readonly string[]): string {
  if (path.length === 1 && schema.required?.includes(path[0] ?? '')) return 'required'
  let value = defaults
  for (const name of path) value = Object.entries(Object(value)).find(([key]) => key === name)?.[1]
  if (typeof value === 'number' && /_(ttl|grace)$/.test(path.at(-1) ?? '')) return `\`${formatDuration(value)}\``
  if (typeof value !== 'object' || value === null) return value === undefined ? '' : `\`${String(value)}\``
  return 'host' in value && 'port' in value ? `\`${String(value.host)}:${String(value.port)}\`` : ''
}

/** docs/configuration.md, from the descriptions in src/foundation/config.ts. */
export const configurationPage = (): string => `# Configuration

\`sallyport start --config=FILE\` reads one YAML file, once. An unknown key is refused, with the name that was probably meant;
every fault of the file is told at once. Relative paths are relative to the file. Durations are written as \`90s\`, \`30m\`,
\`12h\` or \`2d\`.

A small file is enough:

\`\`\`yaml
data_dir: /var/lib/sallyport
listen: 0.0.0.0:3022
public_address: access.example:3022
\`\`\`

| Key | What it is | Default |
|---|---|---|
${rows(schema.properties ?? {}, '').join('\n')}

This page is made from the source: \`node script/reference-pages.ts\`.
`
