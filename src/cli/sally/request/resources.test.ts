import { expect, test } from 'vitest'
import { commandLine, signedInFolder, type CommandLineOptions } from '../../../../test/support/command-line.ts'
import { aGrant, aRequest } from '../../../../test/support/a-request.ts'
import { fakeApi, type FakeHandlers } from '../../../../test/support/fake-api.ts'
import { tempFolder } from '../../../../test/support/temp-folder.ts'
import type { RequestableResource } from '../../../contract/requestable.ts'
import { sally } from '../program.ts'

async function run(
  args: readonly string[],
  handlers: FakeHandlers,
  rest: Partial<Omit<CommandLineOptions, 'program' | 'api' | 'folder'>> = {},
) {
  using temp = tempFolder()
  const api = fakeApi({ listNodes: () => ({ items: [] }), ...handlers })
  const result = await commandLine(args, { program: sally, api, folder: await signedInFolder(temp.path), ...rest })
  return { ...result, calls: api.calls }
}

const resources = [
  { kind: 'node' as const, name: 'db-box' },
  { kind: 'node' as const, name: 'web-box' },
]
const request = aRequest({ kind: 'resource', resources, narrowing: { login: 'deploy' } })
const preview = {
  roles: ['dba'],
  resources,
  narrowing: { login: 'deploy' },
  duration: 3_600_000,
  longest: 3_600_000,
  reviewers: ['bob'],
  approvalsNeeded: [{ role: 'dba', name: 'any reviewer', approve: 1 }],
  warnings: [],
}

test('resources are given one by one or as a list, with or without a login, and need no roles', async () => {
  const words = ['--resource=node/db-box,node/web-box', '--resource=node/x', '--login=deploy', '--nowait']
  const result = await run(['request', 'create', ...words], { ask: () => ({ request, preview, existing: false }) })
  expect(result.exit).toBe(0)
  expect(result.calls[0]?.body).toMatchObject({
    roles: [],
    resources: ['node/db-box', 'node/web-box', 'node/x'],
    narrowing: { login: 'deploy' },
  })
  expect(result.stdout).toMatch(/^Resources:\s+node\/db-box\n\s+node\/web-box\nLogin:\s+deploy only$/m)
})

test('a dry run names resources, login and the roles that were worked out', async () => {
  const result = await run(['request', 'create', '--resource=node/db-box', '--dry-run'], {
    ask: () => ({ request: null, preview, existing: false }),
  })
  expect(result.stdout).toMatchInlineSnapshot(`
    "Resources:   node/db-box
                 node/web-box
    Login:       deploy only
    Roles:       dba
    Duration:    1h (longest: 1h)
    Approvals:   1 for dba (any reviewer)
    Can approve: bob
    "
  `)
})

test('neither roles nor resources is wrong usage, and says how to look for some', async () => {
  const result = await run(['request', 'create', '--reason=x'], {})
  expect(result.exit).toBe(2)
  expect(result.stderr).toContain('sally request search')
  expect(result.calls).toEqual([])
})

test('a resource that is no KIND/NAME is refused with the form that it has', async () => {
  const result = await run(['request', 'create', '--resource=db-box'], {
    ask: () => ({ request, preview, existing: false }),
  })
  expect(result.exit).toBe(2)
  expect(result.stderr).toContain('KIND/NAME')
})

test('after the approval of one node the command that connects is the one to type', async () => {
  const one = { ...request, resources: resources.slice(0, 1) }
  const grant = aGrant({ resources: one.resources, narrowing: one.narrowing })
  const result = await run(['request', 'create', '--resource=node/db-box', '--login=deploy'], {
    ask: () => ({ request: one, preview, existing: false }),
    watchRequest: () => ({ ...one, version: 2, state: 'approved' as const, grant }),
  })
  expect(result.stdout).toContain('Connect as always: ssh deploy@db-box')
})

const found = (name: string, more: Partial<RequestableResource> = {}): RequestableResource => ({
  kind: 'node',
  id: `nod_${name}`,
  name,
  labels: { env: 'prod' },
  logins: [],
  accessUntil: null,
  roles: [{ name: 'dba', logins: ['deploy', 'root'], longest: 3_600_000, asRole: false, asResource: true }],
  ...more,
})

test('search prints what there is, by which role, and the command that asks for what is missing', async () => {
  const items = [
    found('db-box'),
    found('mine', { logins: ['me'], roles: [] }),
    found('web-box', {
      roles: [{ name: 'web', logins: ['root'], longest: 1, asRole: true, asResource: false }],
    }),
  ]
  const result = await run(['request', 'search', '--kind=node', 'env=prod', 'box'], {
    searchRequestable: () => ({ items, next: null }),
  })
  expect(result.exit).toBe(0)
  expect(result.calls[0]?.request.target).toBe('/v1/requestable?kind=node&labels=env%3Dprod&text=box')
  expect(result.stdout).toMatchInlineSnapshot(`
    "Resource      Labels    You may use  With the role
    ------------  --------  -----------  ----------------------
    node/db-box   env=prod  -            dba (deploy, root)
    node/mine     env=prod  me
    node/web-box  env=prod  -            web (root; as a whole)

    To ask for node/db-box:
      sally request create --resource=node/db-box --reason="why you need it"
    "
  `)
})

test('search names a role where nothing can be asked for by itself, and no command where nothing is missing', async () => {
  const whole = found('db-box', {
    roles: [{ name: 'web', logins: ['root'], longest: 1, asRole: true, asResource: false }],
  })
  const asRole = await run(['request', 'search'], { searchRequestable: () => ({ items: [whole], next: null }) })
  expect(asRole.stdout).toContain('sally request create --roles=web --reason="why you need it"')
  const used = found('db-box', { logins: ['me'], roles: [] })
  const mine = await run(['request', 'search'], { searchRequestable: () => ({ items: [used], next: null }) })
  expect(mine.stdout).not.toContain('sally request create')
  const none = await run(['request', 'search', 'x'], { searchRequestable: () => ({ items: [], next: null }) })
  expect(none).toMatchObject({ exit: 0, stdout: 'Nothing found that you may use or ask for.\n' })
})

test('search follows the pages, gives programs all of them, and proposes ten at most', async () => {
  const items = Array.from({ length: 12 }, (_, index) => found(`n${index}`))
  const handlers: FakeHandlers = {
    searchRequestable: ({ query }) =>
      query.cursor === undefined ? { items: items.slice(0, 7), next: 'two' } : { items: items.slice(7), next: null },
  }
  const json = await run(['request', 'search', '--format=json'], handlers)
  expect((JSON.parse(json.stdout) as unknown[]).length).toBe(12)
  const text = await run(['request', 'search'], handlers)
  expect(text.stdout).toContain('To ask for the first 10:')
  expect(text.stdout.split('--resource=')).toHaveLength(11)
})
