import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { codeOf, identityWorld } from '../../test/support/identity-world.ts'
import type { IdentityWorld, SignedInPerson } from '../../test/support/identity-world.ts'
import { addTotp, confirmTotp, listFactors, removeFactor } from './factors.ts'
import { confirmed, confirmedTaking, type Confirmation } from '../audit/confirmation.ts'
import { Refused } from '../foundation/errors.ts'
import { SYSTEM } from './doer.ts'
import { checkStepUp, stepUp } from './step-up.ts'

let world: IdentityWorld
let alice: SignedInPerson
beforeEach(async () => {
  world = await identityWorld()
  alice = await world.person('alice')
})
afterEach(() => world.close())

const ACTION = 'a'.repeat(64)
const doerFor = ({ id, name, loginId }: SignedInPerson) => ({ actor: { kind: 'user', id, name } as const, loginId })
const ownerFor = ({ id, name, loginId }: SignedInPerson) => ({
  userId: id,
  userName: name,
  loginId,
  address: '192.0.2.1',
})
const step = (person: SignedInPerson, code: string, action = ACTION) =>
  stepUp(world.services, doerFor(person), ownerFor(person), { action, code })
const check = (token: string, action = ACTION, loginId = alice.loginId) =>
  checkStepUp(world.services, loginId, action, token)
/** A deed that stores an event alone. */
const deed = (confirmation: Confirmation) =>
  world.deeds.commitDeed(
    confirmed({ confirmation }, async () => ({
      result: null,
      events: [{ type: 'audit.search', actor: SYSTEM.actor, outcome: 'success' }],
    })),
  )
const spend = async (...args: Parameters<typeof check>) => await deed(await check(...args))
const NOT_CONFIRMED = { code: 'step_up_required' }

describe('a step-up', () => {
  test('is good once, also for two at the same moment', async () => {
    const token = await step(alice, alice.freshCode())
    const checked = await Promise.all([check(token), check(token)])
    const both = await Promise.allSettled(checked.map(deed))
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    await expect(check(token)).rejects.toMatchObject(NOT_CONFIRMED)
    expect((await world.eventTypes()).filter((type) => type === 'audit.search')).toHaveLength(1)
  })

  test('is left as it was by a deed that is refused or cannot be stored', async () => {
    const token = await step(alice, alice.freshCode())
    const confirmation = await check(token)
    const refused = confirmed({ confirmation }, async () => {
      throw new Refused('exists', 'there already')
    })
    await expect(world.deeds.commitDeed(refused)).rejects.toMatchObject({ code: 'exists' })
    const unstorable = confirmed({ confirmation }, async () => ({
      result: null,
      events: [{ type: 'audit.search', actor: SYSTEM.actor, outcome: 'success', details: { x: 'x'.repeat(70_000) } }],
    }))
    await expect(world.deeds.commitDeed(unstorable)).rejects.toThrow()
    await spend(token)
    await expect(spend(token)).rejects.toMatchObject(NOT_CONFIRMED)
  })

  test('that became too old while its deed waited gives nothing, and what was taken away with it stays so', async () => {
    const token = await step(alice, alice.freshCode())
    world.clock.advance(5 * 60_000 - 1)
    const confirmation = await check(token)
    world.clock.advance(1)
    await expect(deed(confirmation)).rejects.toMatchObject(NOT_CONFIRMED)
    const taking = (name: string) =>
      world.deeds.commitTakingAway(
        { name, input: {} },
        confirmedTaking({ confirmation }, async () => ({
          result: null,
          events: [{ type: 'audit.search', actor: SYSTEM.actor, outcome: 'success' }],
        })),
      )
    await taking('once')
    await expect(taking('twice')).rejects.toMatchObject(NOT_CONFIRMED)
  })

  test('is good for its action, its login session and five minutes alone', async () => {
    const bob = await world.person('bob')
    const token = await step(alice, alice.freshCode())
    await expect(spend(token, 'b'.repeat(64))).rejects.toMatchObject({ code: 'step_up_required' })
    await expect(spend(token, ACTION, bob.loginId)).rejects.toMatchObject({ code: 'step_up_required' })
    for (const other of ['', alice.token, token.replace('stepup', 'login'), `${token}x`])
      await expect(spend(other)).rejects.toMatchObject({ code: 'step_up_required' })
    world.clock.advance(5 * 60_000 - 1)
    await spend(token)
    const late = await step(alice, alice.freshCode())
    world.clock.advance(5 * 60_000)
    await expect(spend(late)).rejects.toMatchObject({ code: 'step_up_required' })
  })

  test('takes no code twice, none of somebody else, and five wrong ones at most', async () => {
    const bob = await world.person('bob')
    const code = alice.freshCode()
    await step(alice, code)
    await expect(step(alice, code)).rejects.toMatchObject({ code: 'code_already_used' })
    await expect(step(alice, bob.freshCode())).rejects.toMatchObject({ code: 'bad_credentials' })
    for (let i = 0; i < 3; i++) await expect(step(alice, '000000')).rejects.toMatchObject({ code: 'bad_credentials' })
    await expect(step(alice, alice.freshCode())).rejects.toMatchObject({ code: 'too_many_attempts' })
  })

  test('without a second factor says how to get one', async () => {
    const carol = await world.person('carol', [], true)
    await expect(step(carol, '123456')).rejects.toMatchObject({ code: 'second_factor_setup_required' })
  })
})

describe('factors', () => {
  test('an unconfirmed one counts for nothing, and the next one replaces it', async () => {
    const carol = await world.person('carol', [], true)
    const add = () => addTotp(world.services, doerFor(carol), ownerFor(carol), { name: 'phone', installation: 'test' })
    const first = await add()
    await expect(step(carol, codeOf(first.secret, world.clock.now()))).rejects.toMatchObject({
      code: 'second_factor_setup_required',
    })
    const second = await add()
    expect(await listFactors(world.database, carol.id)).toMatchObject([{ id: second.id, confirmed: false }])
    expect(second.uri).toContain('otpauth://totp/')
    expect(second.secret).toMatch(/^[A-Z2-7]{32}$/)
    await expect(
      confirmTotp(world.services, doerFor(carol), ownerFor(carol), { id: first.id, code: '123456' }),
    ).rejects.toMatchObject({ code: 'not_found' })
  })

  test('nobody confirms or removes another’s', async () => {
    const bob = await world.person('bob')
    const [factor] = await listFactors(world.database, alice.id)
    const id = factor?.id ?? ''
    await expect(removeFactor(world.services, doerFor(bob), bob.id, id)).rejects.toMatchObject({ code: 'not_found' })
    const pending = await addTotp(world.services, doerFor(alice), ownerFor(alice), { name: 'b', installation: 't' })
    const code = codeOf(pending.secret, world.clock.now())
    await expect(
      confirmTotp(world.services, doerFor(bob), ownerFor(bob), { id: pending.id, code }),
    ).rejects.toMatchObject({ code: 'not_found' })
  })

  test('the last confirmed one stays', async () => {
    const [factor] = await listFactors(world.database, alice.id)
    await expect(removeFactor(world.services, doerFor(alice), alice.id, factor?.id ?? '')).rejects.toMatchObject({
      code: 'not_allowed',
    })
  })

  test('a secret lies sealed in the store', async () => {
    const rows = await world.database.reads.selectFrom('factors').selectAll().execute()
    expect(rows[0]?.secret_sealed).toMatch(/^s1\./)
    expect(JSON.stringify(rows)).not.toContain(alice.secret)
  })
})
