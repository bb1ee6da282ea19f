import { z } from 'zod'

// What Discord takes of what we send, written from its published description (version 10): every key that is not listed is
// refused, though Discord itself would overlook some.

const Snowflake = z.string().regex(/^[0-9]{15,20}$/)
const NoMentions = z.strictObject({ parse: z.tuple([]) })

const PressButton = z.strictObject({
  type: z.literal(2),
  style: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]),
  label: z.string().min(1).max(80),
  custom_id: z.string().min(1).max(100),
})
const LinkButton = z.strictObject({
  type: z.literal(2),
  style: z.literal(5),
  label: z.string().min(1).max(80),
  url: z.url({ protocol: /^https?$/ }).max(512),
})
const Row = z.strictObject({
  type: z.literal(1),
  components: z
    .array(z.union([PressButton, LinkButton]))
    .min(1)
    .max(5),
})

const Embed = z
  .strictObject({
    description: z.string().min(1).max(4096),
    color: z.int().min(0).max(0xffffff),
    fields: z
      .array(
        z.strictObject({
          name: z.string().trim().min(1).max(256),
          value: z.string().trim().min(1).max(1024),
          inline: z.boolean(),
        }),
      )
      .max(25),
    footer: z.strictObject({ text: z.string().trim().min(1).max(2048) }),
  })
  .refine(
    ({ description, fields, footer }) =>
      fields.reduce(
        (sum, { name, value }) => sum + name.length + value.length,
        description.length + footer.text.length,
      ) <= 6000,
    'an embed has 6000 characters at most',
  )

const Shown = {
  content: z.string().max(2000),
  embeds: z.array(Embed).max(10),
  components: z.array(Row).max(5),
  allowed_mentions: NoMentions,
}

const isSomething = ({ content, embeds }: { content: string; embeds: readonly unknown[] }): boolean =>
  content.trim() !== '' || embeds.length > 0

/** Of a post and a change alike. */
export const AcceptedMessage = z.strictObject(Shown).refine(isSomething, 'an empty message')

export const AcceptedPost = z
  .strictObject({
    ...Shown,
    nonce: z.string().min(1).max(25),
    enforce_nonce: z.literal(true),
    message_reference: z
      .strictObject({ message_id: Snowflake, channel_id: Snowflake, fail_if_not_exists: z.literal(false) })
      .optional(),
  })
  .refine(isSomething, 'an empty message')

const distinct = (rows: readonly { readonly components: readonly object[] }[]): boolean => {
  const ids = rows.flatMap((row) => row.components.flatMap((part) => ('custom_id' in part ? [part.custom_id] : [])))
  return new Set(ids).size === ids.length
}
export const DistinctButtons = z.array(Row).refine(distinct, 'two components with the same custom_id')

export const AcceptedDirect = z.strictObject({ recipient_id: Snowflake })

export const AcceptedCommand = z.strictObject({
  name: z.string().regex(/^[-_\p{Ll}\p{N}]{1,32}$/u),
  type: z.literal(1),
  description: z.string().min(1).max(100),
  contexts: z.array(z.literal([0, 1, 2])),
  options: z.array(
    z.strictObject({
      type: z.literal(3),
      name: z.string().regex(/^[-_\p{Ll}\p{N}]{1,32}$/u),
      description: z.string().min(1).max(100),
      required: z.boolean(),
    }),
  ),
})

const TextInput = z.strictObject({
  type: z.literal(4),
  custom_id: z.string().min(1).max(100),
  style: z.literal([1, 2]),
  required: z.boolean(),
  min_length: z.int().min(0).max(4000).optional(),
  max_length: z.int().min(1).max(4000),
  value: z.string().max(4000).optional(),
})
const Select = z.strictObject({
  type: z.literal(3),
  custom_id: z.string().min(1).max(100),
  required: z.boolean(),
  min_values: z.int().min(0).max(25),
  max_values: z.int().min(1).max(25),
  options: z
    .array(
      z.strictObject({
        label: z.string().min(1).max(100),
        value: z.string().min(1).max(100),
        default: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(25),
})
const Label = z.strictObject({
  type: z.literal(18),
  label: z.string().min(1).max(45),
  description: z.string().min(1).max(100).optional(),
  component: z.discriminatedUnion('type', [TextInput, Select]),
})
const Words = z.strictObject({ type: z.literal(10), content: z.string().min(1).max(4000) })
const Modal = z.strictObject({
  custom_id: z.string().min(1).max(100),
  title: z.string().min(1).max(45),
  components: z
    .array(z.discriminatedUnion('type', [Label, Words]))
    .min(1)
    .max(5),
})

export const AcceptedFollowUp = z.strictObject({
  content: z.string().min(1).max(2000),
  allowed_mentions: NoMentions,
  components: z.array(Row).max(5).optional(),
})

/** Answers to interactions, by what was asked. */
export const AcceptedAnswer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal(1) }),
  z.strictObject({ type: z.literal(4), data: AcceptedFollowUp.extend({ flags: z.literal(64) }) }),
  z.strictObject({ type: z.literal(5), data: z.strictObject({ flags: z.literal(64) }) }),
  z.strictObject({ type: z.literal(6) }),
  z.strictObject({ type: z.literal(9), data: Modal }),
])
export type AcceptedAnswer = z.infer<typeof AcceptedAnswer>
