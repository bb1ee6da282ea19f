// Bundles the programs into dist/: sally, sallyctl, sallyport and proxy-command, each as one .mjs that can be run, with
// shared code split off so that `--help` reads only what it prints.
import { access, chmod, copyFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleSdk } from '../sdk/build.ts'
import { build, type BuildOptions, type Plugin } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = join(root, 'dist')

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  // A package's ES modules first: import() of a bundled CommonJS one has a default export alone.
  mainFields: ['module', 'main'],
  target: 'node24',
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  logLevel: 'warning',
  // CommonJS dependencies call require for node's own modules.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
  },
} as const satisfies BuildOptions

// commander can start programs named like a subcommand; ours never do, and loading child_process costs every start.
const withoutChildProcess: Plugin = {
  name: 'without-child-process',
  setup(bundler) {
    bundler.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('/commander/') ? { path: 'none', namespace: 'empty' } : undefined,
    )
    bundler.onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'export default {}' }))
  },
}

// `import` reads every export of node:http, and with WebSocket loads undici, which costs 90 ms of CPU time; `require` does not.
const httpByRequire: Plugin = {
  name: 'http-by-require',
  setup(bundler) {
    bundler.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
      kind === 'import-statement' ? { path: 'http', namespace: 'by-require' } : undefined,
    )
    bundler.onLoad({ filter: /.*/, namespace: 'by-require' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http')",
    }))
  },
}

async function exists(path: string): Promise<boolean> {
  return access(join(root, path)).then(
    () => true,
    () => false,
  )
}

const ENTRIES = { sally: 'src/main/sally.ts', sallyctl: 'src/main/sallyctl.ts', sallyport: 'src/main/sallyport.ts' }

async function entriesThatExist(): Promise<Record<string, string>> {
  const found = await Promise.all(
    Object.entries(ENTRIES).map(async ([name, path]) => ((await exists(path)) ? [[name, path] as const] : [])),
  )
  return Object.fromEntries(found.flat())
}

await rm(out, { recursive: true, force: true })
const entryPoints = await entriesThatExist()
await build({
  ...common,
  entryPoints,
  outdir: out,
  splitting: true,
  chunkNames: 'parts/[name]-[hash]',
  plugins: [withoutChildProcess, httpByRequire],
})
// Alone and without the banner: it starts before every `ssh root@node`.
const { banner: _, ...plain } = common
await build({ ...plain, entryPoints: { 'proxy-command': 'src/cli/proxy-command.ts' }, outdir: out })
// A process of its own, with an interpreter and the module that policies import beside it.
await build({ ...common, entryPoints: { 'policy-sandbox': 'src/policies/sandbox/policy-sandbox.ts' }, outdir: out })
const wasm = fileURLToPath(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm'))
await copyFile(wasm, join(out, 'quickjs.wasm'))
await copyFile(join(root, 'sdk/policy.ts'), join(out, 'sdk-policy.ts'))
await bundleSdk()
for (const file of await readdir(out)) if (file.endsWith('.mjs')) await chmod(join(out, file), 0o755)
process.stdout.write(`dist/: ${[...Object.keys(entryPoints), 'proxy-command'].join(', ')}\n`)
