import { html, type Html } from './html.ts'

export interface Field {
  readonly name: string
  readonly label: string
  readonly value: string
  readonly hint?: string
  /** What was wrong with what was typed; null: nothing */
  readonly wrong?: string | null
}

/** What belongs to a field is read out with it. */
const described = ({ name, hint, wrong }: Field): Html => {
  const ids = [hint === undefined ? '' : `${name}-hint`, (wrong ?? null) === null ? '' : `${name}-wrong`].filter(
    Boolean,
  )
  if (ids.length === 0) return html``
  return html` aria-describedby="${ids.join(' ')}"${(wrong ?? null) === null ? null : html` aria-invalid="true" autofocus`}`
}

const around = (field: Field, input: Html): Html =>
  html`<label for="${field.name}">${field.label}</label>
    ${(field.wrong ?? null) === null ? null : html`<p class="at-field" id="${field.name}-wrong">${sentence(field.wrong ?? '')}</p>`}
    ${input} ${field.hint === undefined ? null : html`<p class="hint" id="${field.name}-hint">${field.hint}</p>`}`

export function textField(field: Field, { rows, limit }: { readonly rows: number; readonly limit: number }): Html {
  const { name, value } = field
  return around(
    field,
    // A line end right behind the tag is left out by browsers: one that was typed there is the second one.
    html`<textarea id="${name}" name="${name}" rows="${rows}" maxlength="${limit}" ${described(field)}>
${value}</textarea>`,
  )
}

export function lineField(field: Field, limit: number): Html {
  const { name, value } = field
  return around(
    field,
    html`<input id="${name}" name="${name}" maxlength="${limit}" value="${value}" ${described(field)} />`,
  )
}

export const reasonField = (value: string, wrong: string | null = null): Html =>
  textField(
    { name: 'reason', label: 'Reason of your vote', hint: 'Kept with your vote', value, wrong },
    { rows: 3, limit: 4096 },
  )

export const durationField = (value: string, longest: string, wrong: string | null = null): Html => {
  const hint = `At most ${longest}; shorter if you like`
  return lineField({ name: 'duration', label: 'Duration of an approval', hint, value, wrong }, 20)
}

/** Of an app: digits alone, which phones and password managers know to fill in. */
export function codeField(label: string, isRequired: boolean, wrong: string | null = null): Html {
  const field = { name: 'code', label, value: '', wrong }
  return around(
    field,
    html`<input
      id="code"
      name="code"
      inputmode="numeric"
      autocomplete="one-time-code"
      maxlength="10"
      ${isRequired ? html` required` : null}${described(field)}
    />`,
  )
}

/** With a capital and one full stop. */
export function sentence(text: string): string {
  const whole = `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
  return /[.!?]$/.test(whole) ? whole : `${whole}.`
}
