import { z } from 'zod'

// What Jira takes of the calls that we make, and no key more.

const href = z.url({ protocol: /^https?$/ })
const Text = z.strictObject({
  type: z.literal('text'),
  text: z.string().min(1),
  marks: z
    .array(
      z.union([
        z.strictObject({ type: z.literal('strong') }),
        z.strictObject({ type: z.literal('link'), attrs: z.strictObject({ href }) }),
      ]),
    )
    .optional(),
})
const Paragraph = z.strictObject({
  type: z.literal('paragraph'),
  content: z.array(z.union([Text, z.strictObject({ type: z.literal('hardBreak') })])),
})
export const Adf = z.strictObject({ type: z.literal('doc'), version: z.literal(1), content: z.array(Paragraph) })
export type Adf = z.infer<typeof Adf>

const Wiki = z.string().max(32_767)
const summary = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\r\n]*$/)
const key = z.string().min(1).max(255)
/** Data Center's description: a text, whatever it holds. */
const PROPERTY = {
  cloud: z.strictObject({ key, value: z.unknown() }),
  datacenter: z.strictObject({ key, value: z.string() }),
} as const

const create = (description: z.ZodType, property: (typeof PROPERTY)['cloud' | 'datacenter']) =>
  z.strictObject({
    fields: z.strictObject({
      project: z.union([z.strictObject({ id: z.string() }), z.strictObject({ key: z.string() })]),
      issuetype: z.strictObject({ id: z.string() }),
      summary,
      description,
    }),
    properties: z.array(property).max(10),
  })
const edit = (description: z.ZodType) => z.strictObject({ fields: z.strictObject({ summary, description }) })
const comment = (body: z.ZodType) => z.strictObject({ body })

export const BODIES = {
  cloud: { create: create(Adf, PROPERTY.cloud), edit: edit(Adf), comment: comment(Adf) },
  datacenter: { create: create(Wiki, PROPERTY.datacenter), edit: edit(Wiki), comment: comment(Wiki) },
} as const

export const Transition = z.strictObject({ transition: z.strictObject({ id: z.string() }) })

export const CloudSearch = z.strictObject({
  jql: z.string(),
  fields: z.array(z.string()),
  properties: z.array(z.string()).max(5),
  maxResults: z.int().max(100),
  nextPageToken: z.string().optional(),
})
export const OldSearch = z.strictObject({
  jql: z.string(),
  fields: z.array(z.string()),
  startAt: z.int(),
  maxResults: z.int().max(1000),
})

/** Text that people read of a document; what its marks and nodes say besides is in `linksOf`. */
export function readText(document: unknown): string {
  if (typeof document === 'string')
    return document.replace(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code)))
  return Adf.parse(document)
    .content.map((paragraph) => paragraph.content.map((part) => (part.type === 'text' ? part.text : '\n')).join(''))
    .join('\n')
}

/** Addresses that can be pressed. In wiki markup: of links, pictures, mentions and bare addresses. */
export function linksOf(document: unknown): string[] {
  if (typeof document === 'string')
    return [
      ...document.matchAll(/\[[^\]|]*\|([^\]]+)\]|\[(~[^\]]+)\]|!([^!\s]+)!|(?<![[|])\b(https?:\/\/\S+|www\.\S+)/g),
    ].map(([, link, mention, picture, bare]) => link ?? mention ?? picture ?? bare ?? '')
  return Adf.parse(document).content.flatMap((paragraph) =>
    paragraph.content.flatMap((part) =>
      part.type === 'text' ? (part.marks ?? []).flatMap((mark) => (mark.type === 'link' ? [mark.attrs.href] : [])) : [],
    ),
  )
}
