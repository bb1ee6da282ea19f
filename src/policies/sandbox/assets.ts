import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { newQuickJSWASMModuleFromVariant, newVariant, type QuickJSWASMModule } from 'quickjs-emscripten-core'
import packaged from '@jitl/quickjs-wasmfile-release-sync'

// What the sandbox is made of besides its code. In the bundle both files lie beside it.

const bundled = import.meta.url.endsWith('.mjs')
// Its types speak of the CommonJS form, Node loads the other.
const variant = 'default' in packaged ? packaged.default : packaged

export function sdkSource(): string {
  return readFileSync(new URL(bundled ? './sdk-policy.ts' : '../../../sdk/policy.ts', import.meta.url), 'utf8')
}

let binary: ArrayBuffer | undefined

/** An interpreter with memory of its own. */
export async function newInterpreter(): Promise<QuickJSWASMModule> {
  binary ??= new Uint8Array(
    readFileSync(
      bundled
        ? new URL('./quickjs.wasm', import.meta.url)
        : fileURLToPath(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm')),
    ),
  ).buffer
  return newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmBinary: binary }))
}
