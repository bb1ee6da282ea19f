import type { ChatForm, ChatFormField } from '../../contract/from-chat.ts'
import { LIMITS } from '../limits.ts'
import type { Requestable } from './requestable.ts'

/** As many as the shortest list of the products that have long ones shows. */
const MOST_OPTIONS = 100
/** Of one entry of it, in characters */
const LONGEST_OPTION = 75

const FIELD = { initial: null, options: null, several: false, multiline: false, required: false } as const

/** The form behind `/access`: what may be asked for, as lists where they are short enough. */
export function askForm(nonce: string, { roles, resources }: Requestable): ChatForm {
  const roleField = listField(
    'roles',
    'Roles',
    roles.map(({ name }) => name),
    'All that the role gives',
  )
  const resourceField = listField(
    'resources',
    'Resources',
    resources.map(({ key }) => key),
    roles.length === 0 ? 'Access to these alone' : 'Access to these alone, instead of all of a role',
  )
  return {
    kind: 'ask',
    nonce,
    title: 'Ask for access',
    text: [],
    fields: [
      ...(roles.length === 0 ? [] : [{ ...roleField, required: resources.length === 0 }]),
      ...(resources.length === 0 ? [] : [{ ...resourceField, required: roles.length === 0 }]),
      {
        ...FIELD,
        name: 'duration',
        label: 'Duration',
        hint: '30m, 1h, 1h30m; empty: as long as may be',
        maxLength: 20,
      },
      {
        ...{ ...FIELD, name: 'reason', label: 'Reason', hint: 'What you will do, and the ticket' },
        ...{ maxLength: LIMITS.reasonBytes / 4, multiline: true },
      },
      {
        ...{ ...FIELD, name: 'start', label: 'Start', spare: true, maxLength: 40 },
        hint: 'Empty: when it is approved. Or 18:00 UTC, 2026-11-23 18:00 UTC, +2h, first-use',
      },
      ...(resources.length === 0 ? [] : [ACCOUNT]),
    ],
    submit: 'Ask',
  }
}

const ACCOUNT: ChatFormField = {
  ...{ ...FIELD, name: 'account', label: 'Only as', spare: true, maxLength: 64 },
  hint: 'For resources: one login or db user; empty: all that the role gives there',
}

function listField(name: 'roles' | 'resources', label: string, values: readonly string[], hint: string): ChatFormField {
  const fits = values.length <= MOST_OPTIONS && values.every((value) => value.length <= LONGEST_OPTION)
  if (fits) {
    const options = values.map((value) => ({ value, label: value }))
    return { ...FIELD, name, label, hint, maxLength: 2000, options, several: true }
  }
  const typed = `There are ${values.length}: write names, with commas between them. To see them: /access ${name}`
  return { ...FIELD, name, label, hint: typed, maxLength: 2000, several: true }
}
