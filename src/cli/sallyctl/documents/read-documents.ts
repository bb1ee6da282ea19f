import { isAlias, parseAllDocuments, visit } from 'yaml'
import { CommandFailed } from '../../shared/command-failed.ts'

/** All documents of a YAML text as plain values. Aliases are refused: a few of them can stand for gigabytes. */
export function readDocuments(text: string, where: string): unknown[] {
  const parsed = parseAllDocuments(text, { prettyErrors: true, uniqueKeys: true, strict: true })
  const documents = Array.isArray(parsed) ? parsed : []
  const values = documents.map((document) => {
    const first = document.errors[0]
    if (first !== undefined) throw new CommandFailed('usage', `${where} is no YAML: ${firstLine(first.message)}`)
    visit(document, (_, node) => {
      if (isAlias(node)) throw new CommandFailed('usage', `${where} uses YAML aliases (*name), which are not taken`)
    })
    return document.toJS() as unknown
  })
  // `---` with nothing but comments behind it.
  return values.filter((value) => value !== null)
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''

/** `role/dba`, for messages. */
export function nameOf(document: unknown): string {
  const { kind, metadata } = (document ?? {}) as { kind?: unknown; metadata?: { name?: unknown } }
  return `${typeof kind === 'string' ? kind : '?'}/${typeof metadata?.name === 'string' ? metadata.name : '?'}`
}
