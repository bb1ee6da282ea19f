import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { toYaml } from '../../shared/to-yaml.ts'
import { findDocuments } from './get-documents.ts'
import { readDocuments } from './read-documents.ts'
import { readNamedTarget } from './read-target.ts'

/** Opens the document in an editor and sends what was saved. When it is refused, the text is kept and its place told. */
export async function editDocument(context: CommandContext, text: string): Promise<void> {
  const target = readNamedTarget(text)
  if (target.kind === 'lock') throw new CommandFailed('usage', 'a lock cannot be edited', 'Remove it and add another.')
  const api = await context.dial.operator(context)
  const before = toYaml(await findDocuments(api, target))
  const folder = await mkdtemp(join(tmpdir(), 'sallyctl-'))
  const file = join(folder, `${target.kind}-${target.name}.yaml`)
  await writeFile(file, before, { mode: 0o600 })
  try {
    const after = await edited(context, file)
    if (after === before) {
      await context.show({ changed: false }, () => 'Nothing was changed.')
    } else {
      const documents = readDocuments(after, file)
      if (documents.length !== 1) throw new CommandFailed('usage', 'the file must hold one document')
      const made = await api.createDocument({ body: { document: documents[0], replace: true } })
      await context.show({ changed: true, ...made }, () => `${made.kind}/${made.name} was changed.`)
    }
  } catch (error) {
    context.warn(`your text is kept in ${file}`)
    throw error
  }
  await rm(folder, { recursive: true, force: true })
}

async function edited(context: CommandContext, file: string): Promise<string> {
  const { env } = context.terminal
  const editor = env['VISUAL'] || env['EDITOR']
  if (!editor) throw new CommandFailed('usage', 'no editor is set', 'Set EDITOR, or use: sallyctl get and create -f.')
  // EDITOR may hold options ("code --wait"): the shell splits it; the file is an argument and never part of the text.
  const exit = await context.execute('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file])
  if (exit !== 0) throw new CommandFailed('failed', `the editor ended with ${exit}; nothing was sent`)
  return readFile(file, 'utf8')
}
