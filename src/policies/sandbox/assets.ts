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

/** 32 MiB: the interpreter's own 16 are among them. Its own limit counts large blocks alone, so this is the one that holds. */
const MEMORY = { initial: 256, maximum: 512 } as const

// Node has it; its types are the web's.
interface Web {
  readonly WebAssembly: { readonly Memory: new (pages: typeof MEMORY) => object }
}
const { Memory } = (globalThis as typeof globalThis & Web).WebAssembly

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
  return newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmBinary: binary, wasmMemory: new Memory(MEMORY) }))
}
