import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../support/run.ts'
import { builtPrograms } from '../support/built-programs.ts'
import { needProgram } from '../support/need-program.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

let folder: string

// What somebody has who ran `npm i ./sallyport-sdk-0.1.0.tgz` in a folder with Node's types, and nothing of this checkout.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sdk-consumer-'))
  // Programs first: they bundle the package, too, and would take it away below our feet.
  await builtPrograms()
  const built = await run(process.execPath, [join(ROOT, 'sdk/build.ts'), '--types'], { timeout: 110_000 })
  expect(built.code, built.stderr).toBe(0)
  const packed = await run(
    needProgram('npm'),
    ['pack', join(ROOT, 'sdk'), '--ignore-scripts', `--pack-destination=${folder}`],
    {
      cwd: folder,
    },
  )
  expect(packed.code, packed.stderr).toBe(0)
  const target = join(folder, 'node_modules/@sallyport')
  mkdirSync(target, { recursive: true })
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? ''
  const unpacked = await run('tar', ['-xzf', join(folder, tarball), '-C', target])
  expect(unpacked.code, unpacked.stderr).toBe(0)
  await run('mv', [join(target, 'package'), join(target, 'sdk')])
  mkdirSync(join(folder, 'node_modules/@types'))
  for (const name of ['@types/node', 'undici-types'])
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true }))

const CONSUMER = `
import { Sallyport, CursorGone, signWebhook, verifyWebhook, type AccessRequest, type Change } from '@sallyport/sdk'
import { approve, type Policy } from '@sallyport/sdk/policy'
import { startDaemon } from '@sallyport/sdk/testing'

export async function work(signal: AbortSignal): Promise<void> {
  using sallyport = new Sallyport({ address: 'proxy:3022', caPin: 'sha256:00', token: 'sally_service_x' })
  for await (const change of sallyport.watchRequests({ signal })) {
    const { request, cursor }: Change = change
    const minutes: number = request.duration / 60_000
    if (request.state === 'pending' && minutes < 60) await sallyport.approve(request, { reason: cursor })
    // @ts-expect-error there is no such state
    if (request.state === 'done') return
    const notes: readonly { by: string; text: string }[] = request.notes
    void notes
  }
}
export const reasons = (requests: AccessRequest[]): string[] => requests.map(({ reason }) => reason)
export const policy: Policy = () => approve()
export const daemon = async () => { await using made = await startDaemon(); return made.address }
export const lost = (error: unknown): boolean => error instanceof CursorGone
export const signed = verifyWebhook('whsec_x', signWebhook('whsec_x', 'body'), 'body').id
`

test('types and code of the packed package need nothing but Node and its types', async () => {
  writeFileSync(join(folder, 'consumer.ts'), CONSUMER)
  const options = {
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    strict: true,
    noEmit: true,
  }
  const compilerOptions = { ...options, exactOptionalPropertyTypes: true, types: ['node'], skipLibCheck: false }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }))
  const checked = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder])
  expect(checked.stdout).toBe('')
  expect(checked.code).toBe(0)

  const script = `
    const { signWebhook, verifyWebhook, Sallyport } = await import('@sallyport/sdk')
    const { startDaemon } = await import('@sallyport/sdk/testing')
    const { abstain } = await import('@sallyport/sdk/policy')
    const secret = 'whsec_' + Buffer.alloc(32, 7).toString('base64')
    const { id } = verifyWebhook(secret, signWebhook(secret, 'body', { id: 'msg_1' }), 'body')
    process.stdout.write([id, typeof Sallyport, typeof startDaemon, abstain().verdict].join())`
  const ran = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: folder })
  expect(ran.stdout, ran.stderr).toBe('msg_1,function,function,abstain')
})

test('the package holds its entries, their declarations and its README, and says nothing of the daemon’s source', () => {
  const at = join(folder, 'node_modules/@sallyport/sdk')
  const files = readdirSync(at, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  const names = files.map((each) => join(each.parentPath, each.name).slice(at.length + 1))
  for (const name of [
    'README.md',
    'LICENSE',
    'package.json',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/testing.js',
    'dist/policy.d.ts',
  ])
    expect(names).toContain(name)
  const declared = names.filter((name) => name.endsWith('.d.ts')).map((name) => readFileSync(join(at, name), 'utf8'))
  expect(declared.join()).not.toMatch(/zod|\/src\/|[:<|] ?any\b/)
  expect(JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'))).not.toHaveProperty('dependencies')
})
