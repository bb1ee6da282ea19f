// Requests for resources. Numbers in the titles are those of the list of behaviours of request systems that we follow.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STORES } from '../../support/stores.ts'
import { ConformanceHouse, refusalOf, type Scene } from './house.ts'

const PROD = { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } }
const BOTH = { allow: { logins: ['postgres', 'root'], node_labels: { env: ['prod', 'dev'] } } }
const DEV = { allow: { logins: ['deploy'], node_labels: { env: 'dev' } } }

describe.each(STORES)('asking for resources on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  test('48: without search_as_roles a resource cannot be asked for by itself', async () => {
    const scene = await searching(house, {})
    await scene.define('dev', { allow: { request: { roles: [scene.role('prod')] } } })
    expect(await refusalOf(askFor(scene, ['box']))).toBe('resource_not_requestable')
  })

  test('49: a denial of the only role that gives it hides the resource', async () => {
    const scene = await searching(house, {})
    await scene.define('never', { deny: { request: { roles: [scene.role('*')] } } })
    await scene.give(scene.requester, ['dev', 'never'])
    expect(await refusalOf(askFor(scene, ['box']))).toBe('resource_unknown')
  })

  test('50: a named role that may not be searched as is refused', async () => {
    const scene = await searching(house, { other: PROD })
    await scene.define('dev', { allow: { request: { search_as_roles: [scene.role('prod')] } } })
    expect(await refusalOf(askFor(scene, ['box'], {}, ['other']))).toBe('role_not_requestable')
  })

  test('51: only the roles that give one of the resources are asked for', async () => {
    const scene = await searching(house, { dev2: DEV })
    expect((await askFor(scene, ['box'])).roles).toEqual([scene.role('prod')])
  })

  test('52: with a login, the role with the fewest other logins is taken, and a login that nothing gives is an error', async () => {
    const scene = await searching(house, { both: BOTH })
    const narrowing = { login: 'postgres' }
    const request = await askFor(scene, ['box'], { narrowing })
    expect(request).toMatchObject({ roles: [scene.role('prod')], narrowing })
    expect(await refusalOf(askFor(scene, ['box'], { narrowing: { login: 'oracle' } }))).toBe('login_not_allowed')
  })

  test('41: a resource that is named twice is asked for once, and 300 may be named', async () => {
    const scene = await searching(house, {})
    expect((await askFor(scene, ['box', 'box'])).resources).toEqual([{ kind: 'node', name: scene.role('box') }])
    const many = Array.from({ length: 301 }, (_, index) => `n${index}`)
    expect(await refusalOf(askFor(scene, many))).toBe('over_limit')
  })

  test('58: a named role that gives none of it is an error, not left out in silence', async () => {
    const scene = await searching(house, { dev2: DEV })
    expect(await refusalOf(askFor(scene, ['box'], {}, ['prod', 'dev2']))).toBe('resource_not_requestable')
  })

  test('59: a resource that one must not know of and one that is not there get the same answer', async () => {
    const scene = await searching(house, {})
    await scene.node('hidden', { env: 'secret' })
    const answers = await Promise.all(
      ['hidden', 'absent'].map((name) => messageOf(askFor(scene, [name]), scene.role(name))),
    )
    expect(answers[0]).toBe(answers[1])
    expect(answers[0]).toContain('there is no node/NAME')
  })

  test('the grant gives the resource and no other that its role would give', async () => {
    const scene = await searching(house, {})
    await scene.node('other')
    expect((await scene.vote(0, await askFor(scene, ['box']), 'approve')).grant).toMatchObject({ state: 'active' })
    expect(await scene.loginsAt('box')).toEqual(['postgres'])
    expect(await scene.loginsAt('other')).toEqual([])
  })

  test('narrowed to a login, the grant gives that login alone', async () => {
    const scene = await searching(house, { prod: BOTH })
    await scene.vote(0, await askFor(scene, ['box'], { narrowing: { login: 'root' } }), 'approve')
    expect(await scene.loginsAt('box')).toEqual(['root'])
  })

  test('75: several grants for resources add up', async () => {
    const scene = await searching(house, {})
    await scene.node('other')
    await scene.vote(0, await askFor(scene, ['box']), 'approve')
    await scene.vote(0, await askFor(scene, ['other']), 'approve')
    expect(await scene.loginsAt('box')).toEqual(['postgres'])
    expect(await scene.loginsAt('other')).toEqual(['postgres'])
  })

  test('76: beside a grant of roles it limits nothing', async () => {
    const scene = await searching(house, {})
    await scene.define('dev', {
      allow: { request: { roles: [scene.role('prod')], search_as_roles: [scene.role('prod')] } },
    })
    await scene.node('other')
    await scene.vote(0, await askFor(scene, ['box']), 'approve')
    await scene.vote(0, await scene.ask({}, ['prod']), 'approve')
    expect(await scene.loginsAt('other')).toEqual(['postgres'])
  })

  test('a node that is labelled out of the role gives nothing, and labelled elsewhere never more than at approval', async () => {
    const scene = await searching(house, { wide: { allow: { logins: ['root'], node_labels: { env: 'lab' } } } })
    await scene.vote(0, await askFor(scene, ['box']), 'approve')
    await scene.node('box', { env: 'lab' })
    expect(await scene.loginsAt('box')).toEqual([])
    await scene.node('box')
    expect(await scene.loginsAt('box')).toEqual(['postgres'])
  })

  test('a node that is made anew under the old name gets nothing from the old grant', async () => {
    const scene = await searching(house, {})
    await scene.vote(0, await askFor(scene, ['box']), 'approve')
    await house.admin.removeNode({ params: { name: scene.role('box') } })
    await scene.node('box')
    expect(await scene.loginsAt('box')).toEqual([])
  })
})

/** A scene with a node `box` of production, and roles (`prod` among them) that the requester may search as. */
async function searching(
  house: ConformanceHouse,
  roles: NonNullable<Parameters<ConformanceHouse['scene']>[0]>['roles'],
): Promise<Scene> {
  const scene = await house.scene({ roles: { prod: PROD, ...roles } })
  const names = ['prod', ...Object.keys(roles ?? {})].map((name) => scene.role(name))
  await scene.define('dev', { allow: { request: { search_as_roles: names } } })
  await scene.node('box')
  return scene
}

function askFor(
  scene: Scene,
  nodes: readonly string[],
  more: Parameters<Scene['ask']>[0] = {},
  roles: readonly string[] = [],
): ReturnType<Scene['ask']> {
  return scene.ask({ ...more, resources: nodes.map((name) => `node/${scene.role(name)}`) }, roles)
}

/** What a refusal says, with the name taken out. */
async function messageOf(call: Promise<unknown>, name: string): Promise<string> {
  try {
    await call
  } catch (error) {
    return String(error).replaceAll(name, 'NAME')
  }
  return 'was not refused'
}
