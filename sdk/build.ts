// Makes the package: each entry as one module that needs nothing but Node, and with --types its declarations, in which the
// contract's types are written out, so that a consumer needs neither zod nor the daemon's source.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import ts from 'typescript'

const here = import.meta.dirname
const out = join(here, 'dist')
const ENTRIES = ['index', 'policy', 'testing']

/** zod's messages in forty other languages are half a megabyte that nobody reads here. */
const ENGLISH_ONLY: Plugin = {
  name: 'english-only',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js'",
    }))
  },
}

if (process.argv[1] === import.meta.filename) {
  await bundleSdk()
  if (process.argv.includes('--types')) await declareSdk()
}

export async function bundleSdk(): Promise<void> {
  // The folder itself stays: whether programs are fresh is told by the times of files and folders beside it.
  await mkdir(out, { recursive: true })
  for (const name of await readdir(out)) await rm(join(out, name), { recursive: true })
  await build({
    absWorkingDir: here,
    entryPoints: ENTRIES.map((name) => `${name}.ts`),
    outdir: out,
    bundle: true,
    splitting: true,
    chunkNames: 'parts/[name]-[hash]',
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'linked',
    plugins: [ENGLISH_ONLY],
    logLevel: 'warning',
  })
}

async function declareSdk(): Promise<void> {
  await mkdir(join(here, '../.cache'), { recursive: true })
  const made = await mkdtemp(join(here, '../.cache/sdk-types-'))
  try {
    const program = ts.createProgram({
      rootNames: ENTRIES.map((name) => join(here, `${name}.ts`)),
      options: {
        ...optionsOf(),
        noEmit: false,
        emitDeclarationOnly: true,
        declaration: true,
        stripInternal: true,
        outDir: made,
        rootDir: join(here, '..'),
      },
    })
    const wrong = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics]
    if (wrong.length > 0) throw new Error(ts.formatDiagnostics(wrong, FORMAT))
    for (const name of await readdir(join(made, 'sdk'), { recursive: true })) {
      if (name === 'contract-types.d.ts' || !name.endsWith('.d.ts')) continue
      const text = await readFile(join(made, 'sdk', name), 'utf8')
      if (text.includes('/src/')) throw new Error(`${name} would need the daemon's source`)
      await mkdir(dirname(join(out, name)), { recursive: true })
      await writeFile(join(out, name), text.replaceAll(/(from '\.\.?\/[a-z/-]+)\.ts'/g, "$1.js'"))
    }
    await writeFile(join(out, 'contract-types.d.ts'), writtenOut(program, join(here, 'contract-types.ts')))
  } finally {
    await rm(made, { recursive: true })
  }
}

const FORMAT: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => here,
  getCanonicalFileName: (name) => name,
  getNewLine: () => '\n',
}

function optionsOf(): ts.CompilerOptions {
  const path = join(here, '../tsconfig.json')
  const read = ts.readConfigFile(path, (name) => ts.sys.readFile(name))
  const { options } = ts.parseJsonConfigFileContent(
    { ...Object(read.config), include: [], files: [] },
    ts.sys,
    join(here, '..'),
  )
  const { tsBuildInfoFile: _, incremental: __, ...others } = options
  return others
}

/** Every exported type of the file, with the structure that the compiler has worked out. */
function writtenOut(program: ts.Program, path: string): string {
  const checker = program.getTypeChecker()
  const file = program.getSourceFile(path)
  const module = file && checker.getSymbolAtLocation(file)
  if (!module) throw new Error(`${path} exports nothing`)
  const flags =
    ts.TypeFormatFlags.NoTruncation |
    ts.TypeFormatFlags.InTypeAlias |
    ts.TypeFormatFlags.MultilineObjectLiterals |
    ts.TypeFormatFlags.UseSingleQuotesForStringLiteralType
  const types = checker.getExportsOfModule(module).map((symbol) => {
    const type = checker.getDeclaredTypeOfSymbol(
      symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
    )
    const text = checker.typeToString(type, undefined, flags)
    return `export type ${symbol.name} = ${text.replaceAll(/(?: {4})+/g, (indent) => `\n${'  '.repeat(indent.length / 4)}`)}\n`
  })
  if (types.length === 0) throw new Error(`${path} exports no types`)
  return types.join('\n')
}
