import { escapeInQuotes, isHarmless } from './harmless.ts'
import type { Format } from './command-context.ts'

/** `data` for programs, lossless: unsafe characters are written as escapes inside the strings. */
export async function serialise(format: Exclude<Format, 'text'>, data: unknown): Promise<string> {
  return format === 'json' ? `${escapeInQuotes(JSON.stringify(data, null, 2))}\n` : toYaml([data])
}

/** One YAML document for each value, with `---` between them. */
export async function toYaml(values: readonly unknown[]): Promise<string> {
  const { Document, visit } = await import('yaml')
  const documents = values.map((value) => {
    const document = new Document(value, { aliasDuplicateObjects: false })
    visit(document, {
      Scalar(_, node) {
        // Only the double-quoted form can write an escape; other line breaks than \n would be folded away.
        if (typeof node.value === 'string' && !isHarmless(node.value)) node.type = 'QUOTE_DOUBLE'
      },
    })
    return document.toString({ lineWidth: 0 })
  })
  return escapeInQuotes(documents.join('---\n'))
}
