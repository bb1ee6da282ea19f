import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aMessageTask, aRequestView, aViewedReview, HOSTILE_TEXTS } from '../../../test/support/a-request-view.ts'
import { anyText } from '../../../test/support/any-text.ts'
import { markdownEffects } from '../../../test/support/mattermost/markdown-effects.ts'
import { CreatePost } from '../../../test/support/mattermost/schemas.ts'
import type { MessageButton, RequestView } from '../../contract/message.ts'
import { readContext } from '../../formats/mattermost-proof.ts'
import { renderNotice, renderRequest, type MattermostPost } from './render-post.ts'

const KEY = 'k'.repeat(32)
const CHANNEL = 'c'.repeat(26)
const FRAME = { integration: 'chat', key: KEY, actionsUrl: 'https://access.example.org/v1/callbacks/chat/actions-x' }

function render(view: RequestView, buttons: MessageButton[] = ['approve', 'deny', 'open']): MattermostPost {
  const task = aMessageTask({ view })
  return renderRequest(FRAME, task, { kind: 'request', view, buttons }, CHANNEL)
}

const namesOf = (post: MattermostPost): string[] =>
  (post.props.attachments[0]?.actions ?? []).map((action) => action.name)

const textsOf = (post: MattermostPost): string[] => {
  const [attachment] = post.props.attachments
  const fields = (attachment?.fields ?? []).flatMap(({ title, value }) => [title, ...value.split('\n')])
  return [post.message.replaceAll('**', ''), (attachment?.text ?? '').replaceAll('**', ''), ...fields]
}

const asCreated = (post: MattermostPost): void => void CreatePost.parse({ channel_id: CHANNEL, ...post })

test('a pending request has buttons that say which one they are, of which rendering and where, under our key', () => {
  const post = render(aRequestView())
  asCreated(post)
  expect(namesOf(post)).toEqual(['Approve', 'Deny'])
  const context = post.props.attachments[0]?.actions?.[1]?.integration.context
  const { pendingUntil } = aRequestView()
  expect(readContext(KEY, 'chat', context)).toEqual({
    button: 'deny',
    buttonId: '0123456789abcdef0123456789abcdef',
    channel: CHANNEL,
    until: pendingUntil,
  })
})

test('a decided request keeps everything but the buttons, and says so in props that replace the old ones', () => {
  const post = render(aRequestView({ state: 'denied', resolution: 'denied by bob', needed: [] }), ['open'])
  asCreated(post)
  expect(JSON.stringify(post)).not.toContain('actions')
  expect(post.props.attachments).toHaveLength(1)
  expect(post.props.attachments[0]?.text).toBe('**Denied: denied by bob**')
})

test('who has answered, what is missing and the end are shown', () => {
  const reviews = [aViewedReview(), aViewedReview({ reviewer: 'carol', decision: 'deny', reason: 'not today' })]
  const shown = textsOf(render(aRequestView({ reviews, needed: ['1 more of "dba team"'] }))).join('\n')
  expect(shown).toContain('bob 2026')
  expect(shown).toContain('denied')
  expect(shown).toContain('not today')
  expect(shown).toContain('Waiting: 1 more of "dba team"')
})

test('with a reason, roles or resources that had to be cut there is nothing to vote with', () => {
  const roles = Array.from({ length: 50 }, (_, index) => `role-${index}-${'x'.repeat(50)}`)
  const resources = Array.from({ length: 300 }, (_, index) => ({ kind: 'node' as const, name: `node-${index}` }))
  for (const view of [
    aRequestView({ roles }),
    aRequestView({ resources }),
    aRequestView({ reason: 'é'.repeat(4000) }),
  ]) {
    const post = render(view, ['approve', 'deny', 'open', 'cancel'])
    asCreated(post)
    expect(namesOf(post)).toEqual(['Cancel request'])
    expect(textsOf(post).join('\n')).toContain('had to be cut')
  }
})

test('whatever it takes, the props stay within what old servers take', () => {
  const reviews = Array.from({ length: 30 }, () => aViewedReview({ reason: '*'.repeat(3000), why: '_'.repeat(900) }))
  const roles = Array.from({ length: 50 }, (_, index) => `role_${index}_${'_'.repeat(50)}`)
  const resources = Array.from({ length: 300 }, (_, index) => ({ kind: 'node' as const, name: `node_${index}` }))
  const much = aRequestView({
    reason: '*'.repeat(4096),
    roles,
    resources,
    reviews,
    warnings: ['_'.repeat(5000)],
    notes: [{ by: 'bot', text: '_'.repeat(2000), at: 1 }],
  })
  const post = render(much, ['approve', 'deny', 'open', 'cancel', 'extend', 'return'])
  asCreated(post)
  expect([...JSON.stringify(post.props)].length).toBeLessThanOrEqual(7900)
})

test('trap 15: nothing that people typed does anything in a post', () => {
  const check = (text: string): void => {
    const review = aViewedReview({ reviewer: text, reason: text, why: text, counts: false })
    const view = aRequestView({
      reason: text,
      resolution: text,
      needed: [text],
      gives: [text],
      warnings: [text],
      notes: [{ by: 'bot', text, at: 1 }],
    })
    for (const post of [render({ ...view, reviews: [review] }), render({ ...view, state: 'denied' })]) {
      asCreated(post)
      for (const shown of textsOf(post)) expect(markdownEffects(shown), shown).toEqual([])
    }
  }
  HOSTILE_TEXTS.forEach(check)
  fc.assert(fc.property(anyText({ maxLength: 80 }), check), { numRuns: 60 })
})

test('a notice is a line with a link of ours', () => {
  const at = Date.UTC(2026, 0, 1)
  const view = {
    topic: 'request.reviewed',
    text: 'bob: @all [x](http://evil)',
    url: 'https://access.example.org/r',
    at,
  }
  const post = renderNotice(view, 'once')
  asCreated(post)
  expect(markdownEffects(post.message.split('\n')[0] ?? '')).toEqual([])
  expect(post.message).toContain('\n[Open](https://access.example.org/r)')
})
