import { expect, test } from 'vitest'
import { aRequestView, HOSTILE_TEXTS } from '../../../test/support/a-request-view.ts'
import { incidentOf, noteOf } from './render-incident.ts'

test('an incident says who asks for what and why, what it takes, and where it is answered', () => {
  const { title, details } = incidentOf(aRequestView())
  expect(title).toBe('alice asks for dba')
  for (const said of ['Reason: ticket #1234', 'An approval gives: 3 nodes more', 'It takes: 2 approvals of "dba team"'])
    expect(details).toContain(said)
  expect(details).toMatch(/no answer; votes are written here as notes\. Open the request: https:\S+$/)
})

test('an incident of what is decided already asks for nothing', () => {
  const { details, state } = incidentOf(aRequestView({ state: 'denied', needed: [], resolution: 'denied by bob' }))
  expect(state).toBe('Denied: denied by bob')
  expect(details).not.toContain('It takes')
  expect(details).not.toContain('no answer')
})

test.each(HOSTILE_TEXTS.map((text, index) => [index, text] as const))(
  'trap 15: of a person’s text no address, control character or overlong line is left in incidents and notes: %i',
  (_index, text) => {
    const url = aRequestView().url
    const { title, details, state } = incidentOf(aRequestView({ reason: text, resolution: text, state: 'denied' }))
    const note = noteOf({ text, url: null })
    expect([title.length <= 1024, details.length <= 8000, note.length <= 2000]).toEqual([true, true, true])
    for (const shown of [title, details.replace(url, ''), state, note]) {
      expect(shown).not.toMatch(/https?:\/\/|www\.\w/)
      expect(shown).not.toMatch(/[\0-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]/)
      expect(shown.isWellFormed()).toBe(true)
    }
  },
)
