import { describe, expect, test } from 'vitest'
import { askForm } from '../../src/access/from-chat/ask-form.ts'
import { renderForm as renderForDiscord } from '../../src/notify/discord/render-form.ts'
import { renderDialog } from '../../src/notify/mattermost/render-dialog.ts'
import { renderForm as renderForSlack } from '../../src/notify/slack/render-form.ts'
import { AcceptedAnswer } from '../support/discord/accepted.ts'
import { OpenDialog } from '../support/mattermost/schemas.ts'
import { Modal } from '../support/slack/block-kit.ts'

// The form that asks for access, as the products' stand-ins take it: what is offered decides what has to be typed.

const formOf = (roles: number, resources: number, length = 1) =>
  askForm('nonce-of-the-form', {
    roles: Array.from({ length: roles }, (_, at) => ({ name: `role-${at}`.padEnd(length, 'x'), longestMs: 3_600_000 })),
    resources: Array.from({ length: resources }, (_, at) => ({
      ...{ key: `node/box-${at}`.padEnd(length, 'x'), labels: {}, by: ['prod'] },
    })),
  })

const slackBlocks = (form: ReturnType<typeof formOf>) =>
  Modal.parse(renderForSlack(form)).blocks.flatMap((block) =>
    block.type === 'input' ? [`${block.block_id} ${block.element.type}`] : [],
  )

function discordFields(form: ReturnType<typeof formOf>): string[] {
  const answer = AcceptedAnswer.parse(renderForDiscord(form))
  if (answer.type !== 9) throw new Error('no modal')
  return answer.data.components.flatMap((each) =>
    each.type === 18 ? [`${each.component.custom_id} ${each.component.type}`] : [],
  )
}

function mattermostFields(form: ReturnType<typeof formOf>): string[] {
  const dialog = renderDialog(form, 'seal')
  OpenDialog.parse({ trigger_id: 'dHJpZ2dlcg==', url: 'https://sallyport.test/v1/callbacks/chat/dialogs', dialog })
  return dialog.elements.map(({ name, type }) => `${name} ${type}`)
}

describe('the form that asks for access', () => {
  test('with roles and resources: lists everywhere, and what has no room is left to what is typed', () => {
    const form = formOf(3, 10)
    expect(slackBlocks(form)).toEqual([
      ...['roles multi_static_select', 'resources multi_static_select', 'duration plain_text_input'],
      ...['reason plain_text_input', 'start plain_text_input', 'account plain_text_input'],
    ])
    expect(discordFields(form)).toEqual(['roles 3', 'resources 3', 'duration 4', 'reason 4', 'start 4'])
    expect(mattermostFields(form)).toEqual([
      ...['roles select', 'resources select', 'resourcesmore text', 'duration text', 'reason textarea'],
    ])
  })
  test('with roles alone there is room for the start', () => {
    expect(mattermostFields(formOf(3, 0))).toEqual([
      ...['roles select', 'rolesmore text', 'duration text', 'reason textarea', 'start text'],
    ])
    expect(discordFields(formOf(1, 0))).toEqual(['roles 3', 'duration 4', 'reason 4', 'start 4'])
  })
  test.each([
    [25, 26, '3', '4', 'multi_static_select'],
    [26, 100, '4', '4', 'multi_static_select'],
    [100, 101, '4', '4', 'plain_text_input'],
  ])('%i roles and %i resources are lists as far as each product takes them', (roles, resources, one, two, slack) => {
    const form = formOf(roles, resources)
    expect(discordFields(form).slice(0, 2)).toEqual([`roles ${one}`, `resources ${two}`])
    expect(slackBlocks(form)[1]).toBe(`resources ${slack}`)
    expect(mattermostFields(form).length).toBeLessThanOrEqual(5)
  })
  test('names of the longest are no list entries that are cut into others', () => {
    for (const length of [63, 75, 76, 80]) {
      const form = formOf(30, 30, length)
      const values = form.fields.flatMap(({ options }) => options ?? []).map(({ label }) => label)
      expect(values.every((value) => value.length <= 75)).toBe(true)
      for (const fields of [slackBlocks(form), discordFields(form), mattermostFields(form)])
        expect(fields.length).toBeGreaterThan(3)
    }
  })
})
