import type { QuickJSContext, QuickJSHandle, QuickJSRuntime, QuickJSWASMModule } from 'quickjs-emscripten-core'

/** Name under which policies import what they are written with. */
export const SDK = '@sallyport/sdk/policy'

// QuickJS in WebAssembly: an interpreter inside memory of its own that is given no function of ours. Each evaluation has a
// runtime of its own: nothing that one policy does to its globals is there for the next.

export interface Limits {
  /** Processor time of this thread, so that a busy machine fails no policy */
  readonly cpuMs: number
  readonly memoryBytes: number
  readonly stackBytes: number
}

export const RUN_LIMITS: Limits = { cpuMs: 50, memoryBytes: 32 * 1024 * 1024, stackBytes: 256 * 1024 }
const COMPILE_LIMITS: Limits = { ...RUN_LIMITS, cpuMs: 1000 }

const LONGEST_ANSWER = 32_768
const LONGEST_PROBLEM = 500

export type Outcome =
  | { readonly ok: true; readonly answer: string }
  /** `spoiled`: the interpreter's memory may be in any state; take another one */
  | { readonly ok: false; readonly problem: string; readonly spoiled: boolean }

/** Paths of the folder and the one package name that there is, to JavaScript. */
export type Modules = Readonly<Record<string, string>>

const INTRINSICS = {
  BaseObjects: true,
  Eval: true,
  StringNormalize: true,
  RegExp: true,
  RegExpCompiler: true,
  JSON: true,
  Proxy: true,
  MapSet: true,
  TypedArrays: true,
  Promise: true,
  BigInt: true,
  // A policy is a function of its facts: it has no clock.
  Date: false,
} as const

const WITHOUT_CHANCE = `'use strict'
for (const name of ['performance', 'WeakRef', 'FinalizationRegistry', 'navigator', 'queueMicrotask', 'SharedArrayBuffer', 'Atomics'])
  delete globalThis[name]
delete Math.random`

/** Runs the entry's default export on the facts (JSON) and gives its answer as JSON. */
export function runPolicy(
  quickjs: QuickJSWASMModule,
  modules: Modules,
  entry: string,
  facts: string,
  limits = RUN_LIMITS,
): Outcome {
  return evaluate(quickjs, modules, limits, `facts = ${JSON.stringify(facts)}`, runCode(entry))
}

/** Evaluates the entry without calling it: `{verdicts, zone}` as JSON. */
export function inspectPolicy(
  quickjs: QuickJSWASMModule,
  modules: Modules,
  entry: string,
): Outcome & { uses: string[] } {
  const uses = new Set([entry])
  const outcome = evaluate(quickjs, modules, COMPILE_LIMITS, '', inspectCode(entry), (name) => uses.add(name))
  return { ...outcome, uses: [...uses] }
}

const runCode = (entry: string): string => `import * as policy from ${JSON.stringify(entry)}
const result = policy.default(JSON.parse(facts))
if (typeof result?.then === 'function') throw new TypeError('a policy answers at once, not with a promise')
const text = JSON.stringify(result)
if (text === undefined) throw new TypeError('the policy answered nothing')
if (text.length > ${LONGEST_ANSWER}) throw new RangeError('the answer is too long')
export const answer = text`

const inspectCode = (entry: string): string => `import * as policy from ${JSON.stringify(entry)}
if (typeof policy.default !== 'function') throw new TypeError('a policy exports a function: export default (facts) => ...')
export const answer = JSON.stringify({ verdicts: policy.verdicts ?? null, zone: policy.zone ?? null })`

function evaluate(
  quickjs: QuickJSWASMModule,
  modules: Modules,
  limits: Limits,
  given: string,
  code: string,
  onLoad: (name: string) => void = () => {},
): Outcome {
  let runtime: QuickJSRuntime | null = null
  try {
    runtime = quickjs.newRuntime()
    const budget = limitRuntime(runtime, limits)
    serveModules(runtime, modules, onLoad)
    const outcome = evaluateIn(runtime.newContext({ intrinsics: INTRINSICS }), given, code)
    runtime.dispose()
    return budget.over() ? { ok: false, problem: `it took longer than ${limits.cpuMs} ms`, spoiled: true } : outcome
  } catch (error) {
    // The interpreter itself gave up (memory, a stack of its own, a trap): its heap is worth nothing any more.
    return { ok: false, problem: `the sandbox failed: ${plain(String(error))}`, spoiled: true }
  }
}

function limitRuntime(runtime: QuickJSRuntime, { cpuMs, memoryBytes, stackBytes }: Limits): { over(): boolean } {
  runtime.setMemoryLimit(memoryBytes)
  runtime.setMaxStackSize(stackBytes)
  const started = process.threadCpuUsage()
  const used = (): number => {
    const { user, system } = process.threadCpuUsage(started)
    return (user + system) / 1000
  }
  let over = false
  runtime.setInterruptHandler(() => {
    over ||= used() > cpuMs
    return over
  })
  return { over: () => over }
}

function serveModules(runtime: QuickJSRuntime, modules: Modules, onLoad: (name: string) => void): void {
  runtime.setModuleLoader(
    (name) => {
      const code = Object.hasOwn(modules, name) ? modules[name] : undefined
      if (code === undefined)
        return { error: new Error(`cannot import ${name}: a policy imports ${SDK} and files of its folder`) }
      onLoad(name)
      return code
    },
    (base, name) => resolveModule(base, name) ?? name,
  )
}

/** Path inside the folder; null: it leads out. */
export function resolveModule(base: string, name: string): string | null {
  if (!name.startsWith('./') && !name.startsWith('../')) return name
  const steps = base.split('/').slice(0, -1)
  for (const step of name.split('/')) {
    if (step === '..' && steps.pop() === undefined) return null
    if (step !== '..' && step !== '.') steps.push(step)
  }
  return steps.join('/')
}

function evaluateIn(context: QuickJSContext, given: string, code: string): Outcome {
  try {
    const prepared = evaluateText(context, `${WITHOUT_CHANCE}\n;var ${given === '' ? 'facts' : given}`, 'global')
    if (!prepared.ok) return prepared
    return evaluateText(context, code, 'module')
  } finally {
    context.dispose()
  }
}

function evaluateText(context: QuickJSContext, code: string, type: 'global' | 'module'): Outcome {
  const result = context.evalCode(code, 'sallyport', { type })
  if (result.error) {
    const { problem, spoiled } = describe(context, result.error)
    result.error.dispose()
    return { ok: false, problem, spoiled }
  }
  if (type === 'global') {
    result.value.dispose()
    return { ok: true, answer: '' }
  }
  const answer = result.value
  const handle = context.getProp(answer, 'answer')
  const text = textOf(context, handle, LONGEST_ANSWER)
  handle.dispose()
  answer.dispose()
  return text === null
    ? { ok: false, problem: 'a policy answers at once: it must not wait', spoiled: false }
    : { ok: true, answer: text }
}

/** Null for what is no text, or too long: it is never copied out. */
function textOf(context: QuickJSContext, handle: QuickJSHandle, longest: number): string | null {
  if (context.typeof(handle) !== 'string') return null
  const length = context.getProp(handle, 'length')
  const characters = context.getNumber(length)
  length.dispose()
  return characters <= longest ? context.getString(handle) : null
}

/** `freeze.ts:3: TypeError: ...`. Whatever was thrown was made by the policy: nothing of it is trusted to be what it seems. */
function describe(context: QuickJSContext, error: QuickJSHandle): { problem: string; spoiled: boolean } {
  const read = (name: string): string => {
    if (context.typeof(error) !== 'object') return ''
    const handle = context.getProp(error, name)
    const text = textOf(context, handle, 8192) ?? ''
    handle.dispose()
    return plain(text)
  }
  const own = textOf(context, error, 8192)
  const name = read('name')
  const message = own === null ? read('message') : plain(own)
  const place = /([A-Za-z0-9._/-]+\.ts:\d+)/.exec(read('stack'))?.[1]
  const spoiled = name === 'InternalError'
  const text = [place, name === '' ? 'it threw' : name, message].filter(Boolean).join(': ')
  return { problem: spoiled && message === 'out of memory' ? 'it used more memory than it may' : text, spoiled }
}

/** Without control characters and lone surrogates, and not too long: it goes into events and on screens. */
function plain(text: string): string {
  return text
    .toWellFormed()
    .replace(/\p{Cc}+/gu, ' ')
    .slice(0, LONGEST_PROBLEM)
    .toWellFormed()
}
