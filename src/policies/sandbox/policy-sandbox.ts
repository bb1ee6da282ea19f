import { Socket } from 'node:net'
import type { QuickJSWASMModule } from 'quickjs-emscripten-core'
import { newInterpreter, sdkSource } from './assets.ts'
import { inspectPolicy, runPolicy, SDK, type Modules, type Outcome } from './evaluate.ts'
import { frame, FrameReader } from './frames.ts'
import { Order, READY } from './orders.ts'
import { stripTypes } from './strip-types.ts'

// The process that policies run in. It has an empty environment and one pipe, descriptor 3, and ends with it.

interface Loaded {
  readonly entry: string
  readonly modules: Modules
}

const loaded = new Map<string, Loaded>()
let interpreter: QuickJSWASMModule = await newInterpreter()

async function execute(order: Order): Promise<unknown> {
  switch (order.kind) {
    case 'compile':
      return { id: order.id, ...compile(order.entry, order.sources) }
    case 'load':
      loaded.set(order.hash, { entry: order.entry, modules: order.modules })
      return { id: order.id, ok: true }
    case 'run': {
      const policy = loaded.get(order.hash)
      const outcome: Outcome = policy
        ? runPolicy(interpreter, policy.modules, policy.entry, order.facts)
        : { ok: false, problem: 'it was not loaded', spoiled: false }
      if (outcome.ok) return { id: order.id, ok: true, answer: outcome.answer }
      if (outcome.spoiled) interpreter = await newInterpreter()
      return { id: order.id, ok: false, problem: outcome.problem }
    }
  }
}

function compile(entry: string, sources: Readonly<Record<string, string>>): object {
  const modules: Record<string, string> = {}
  for (const [path, source] of [...Object.entries(sources), [SDK, sdkSource()] as const]) {
    const stripped = stripTypes(path, source)
    // Other files of the folder may be broken: only what this one imports matters, and that import fails below.
    if (stripped.ok) modules[path] = stripped.code
    else if (path === entry) return { ok: false, problem: stripped.problem }
    else modules[path] = `throw new SyntaxError(${JSON.stringify(stripped.problem)})`
  }
  const found = inspectPolicy(interpreter, modules, entry)
  if (!found.ok) return { ok: false, problem: placed(entry, found.problem) }
  const exported = JSON.parse(found.answer) as { verdicts: unknown; zone: unknown }
  const problem = exportProblem(exported)
  if (problem !== null) return { ok: false, problem: placed(entry, problem) }
  const used = found.uses.flatMap((path) => (modules[path] === undefined ? [] : [[path, modules[path]]]))
  return { ok: true, modules: Object.fromEntries(used) as Modules, ...exported }
}

const placed = (entry: string, problem: string): string =>
  /^[^ ]+\.ts:\d+: /.test(problem) ? problem : `${entry}:1: ${problem}`

function exportProblem({ verdicts, zone }: { verdicts: unknown; zone: unknown }): string | null {
  const isList = Array.isArray(verdicts) && verdicts.every((each) => typeof each === 'string')
  if (verdicts !== null && !isList) return "verdicts is a list, as in: export const verdicts = ['approve']"
  return zone === null || typeof zone === 'string' ? null : "zone is a text, as in: export const zone = 'Europe/Paris'"
}

const pipe = new Socket({ fd: 3, readable: true, writable: true })
const frames = new FrameReader()
let working: Promise<void> = Promise.resolve()
pipe.on('data', (bytes) => {
  for (const value of frames.read(bytes)) {
    working = working.then(async () => {
      pipe.write(frame(await execute(Order.parse(value))))
    })
  }
})
pipe.on('close', () => process.exit(0))
pipe.on('error', () => process.exit(1))
pipe.write(frame(READY))
