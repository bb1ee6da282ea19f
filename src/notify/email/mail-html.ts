import type { MailPage } from './mail-page.ts'

// Styles stand at each element: mail programs throw style sheets away. Nothing in them loads anything, and both light and dark
// backgrounds are the reader's own.

const TONES: Readonly<Record<MailPage['tone'], string>> = {
  waiting: '#9a6700',
  good: '#1a7f37',
  bad: '#cf222e',
  over: '#57606a',
}
const BODY =
  'font-family: Helvetica, Arial, sans-serif; font-size: 15px; line-height: 1.5; margin: 16px; max-width: 640px'
const BUTTON =
  'background: #1f4e8c; border: 1px solid #1f4e8c; border-radius: 6px; color: #ffffff; font-weight: bold; padding: 10px 18px; text-decoration: none'
const LABEL = 'color: #6e7781; padding: 4px 16px 4px 0; text-align: left; vertical-align: top; white-space: nowrap'
const VALUE = 'padding: 4px 0; text-align: left; vertical-align: top; word-break: break-word'
const SMALL = 'color: #6e7781; font-size: 13px; margin: 24px 0 0 0'

/** `closing`: our own words. */
export function htmlOf(page: MailPage, closing: string): string {
  const { subject, title, state, tone, link, facts, votes, notes } = page
  const table = [...facts, ...votes.map(({ label, text }) => ({ label: `Vote of ${label}`, text }))]
  const rows = table.map(
    ({ label, text }) =>
      `<tr><th style="${LABEL}; font-weight: normal">${escaped(label)}</th><td style="${VALUE}">${escaped(text)}</td></tr>`,
  )
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>${escaped(subject)}</title></head>`,
    `<body><div style="${BODY}">`,
    `<p style="color: ${TONES[tone]}; font-size: 18px; font-weight: bold; margin: 0">${escaped(state)}</p>`,
    title === null ? '' : `<p style="margin: 0 0 16px 0">${escaped(title)}</p>`,
    link === null
      ? ''
      : `<p style="margin: 20px 0"><a style="${BUTTON}" href="${escaped(link.url)}" rel="noreferrer">${escaped(link.label)}</a></p>`,
    rows.length === 0 ? '' : `<table style="border-collapse: collapse">${rows.join('\n')}</table>`,
    ...notes.map((note) => `<p>Note: ${escaped(note)}</p>`),
    `<p style="${SMALL}">${escaped(closing)}</p>`,
    '</div></body></html>',
  ]
    .filter((part) => part !== '')
    .join('\n')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '\n': '<br>',
}

const escaped = (text: string): string => text.replace(/[&<>"'\n]/g, (char) => ENTITIES[char] ?? char)
