import { Document, visit } from 'yaml'
import { escapeInQuotes, isHarmless } from './harmless.ts'

/** One YAML document for each value, with `---` between them. */
export function toYaml(values: readonly unknown[]): string {
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
