import { readFile } from 'node:fs/promises'
import { ApiError } from '../../../contract/api-error.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { harmless } from '../../shared/harmless.ts'
import { readAll } from '../../shared/prompt.ts'
import { nameOf, readDocuments } from './read-documents.ts'

const LONGEST_FILE = 4 * 1024 * 1024

/** Stops at the first document that is refused and says which it was; those before it stay. */
export async function createDocuments(
  context: CommandContext,
  { file, replace }: { readonly file: string; readonly replace: boolean },
): Promise<void> {
  const text = file === '-' ? await readAll(context.terminal.stdin, LONGEST_FILE) : await readGiven(file)
  const documents = readDocuments(text, file)
  if (documents.length === 0) throw new CommandFailed('usage', `${file} holds no document`)
  const api = await context.dial.operator(context)
  const done = []
  for (const [index, document] of documents.entries()) {
    try {
      const made = await api.createDocument({ body: { document, replace } })
      context.progress(harmless(`${made.created ? 'made' : 'replaced'} ${made.kind}/${made.name}`))
      done.push(made)
    } catch (error) {
      if (error instanceof ApiError && documents.length > 1)
        context.warn(harmless(`document ${index + 1} of ${documents.length}, ${nameOf(document)}:`))
      throw error
    }
  }
  await context.show(done, () => '')
}

async function readGiven(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new CommandFailed('usage', `${file} cannot be read: ${(error as Error).message}`)
  }
}
