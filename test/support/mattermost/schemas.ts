import { z } from 'zod'

// What the server takes, stricter than it is: unknown keys are refused, so that a slip of ours shows.

export const Id = z.string().regex(/^[a-z0-9]{26}$/)

/** By code point, as the server counts. */
const runes = (most: number): z.ZodString => z.string().refine((text) => [...text].length <= most, `over ${most} runes`)

export const MESSAGE_RUNES = 16_383

const Action = z.strictObject({
  /** The route that presses it takes letters and digits alone */
  id: z.string().regex(/^[A-Za-z0-9]+$/),
  type: z.literal('button'),
  name: z.string().min(1).max(64),
  style: z.enum(['default', 'primary', 'success', 'good', 'warning', 'danger']).optional(),
  integration: z.strictObject({ url: z.url({ protocol: /^https?$/ }), context: z.record(z.string(), z.unknown()) }),
})

const Attachment = z.strictObject({
  fallback: z.string().min(1),
  color: z
    .string()
    .regex(/^#[0-9a-f]{6}$/i)
    .optional(),
  pretext: z.string().optional(),
  title: z.string().optional(),
  title_link: z.url({ protocol: /^https?$/ }).optional(),
  text: z.string().optional(),
  fields: z.array(z.strictObject({ title: z.string(), value: z.string(), short: z.boolean() })).optional(),
  footer: z.string().optional(),
  actions: z.array(Action).max(25).optional(),
})

/** Older servers keep 8000 characters of props; what we send stays under that. */
const Props = z
  .strictObject({ attachments: z.array(Attachment).max(5).optional(), sallyport_once: z.string().optional() })
  .refine((props) => [...JSON.stringify(props)].length <= 8000, 'api.context.invalid_body_param: props')

export const CreatePost = z.strictObject({
  channel_id: Id,
  message: runes(MESSAGE_RUNES),
  root_id: Id.optional(),
  props: Props.optional(),
  pending_post_id: z.string().max(64).optional(),
})
export type CreatePost = z.infer<typeof CreatePost>

export const PatchPost = z.strictObject({
  message: runes(MESSAGE_RUNES).optional(),
  props: Props.nullable().optional(),
})
export type PatchPost = z.infer<typeof PatchPost>

const number = (most: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .pipe(z.int().max(most))

/** Of the posts of a channel. */
export const PostsQuery = z.strictObject({
  page: number(10_000).optional(),
  per_page: number(200).optional(),
  since: number(Number.MAX_SAFE_INTEGER).optional(),
  before: Id.optional(),
})

export const EphemeralPost = z.strictObject({
  user_id: Id,
  post: z.strictObject({ channel_id: Id, message: runes(MESSAGE_RUNES) }),
})

export const DirectChannel = z.tuple([Id, Id])

const Option = z.strictObject({ text: z.string().min(1), value: z.string().min(1) })
const Element = z
  .strictObject({
    display_name: runes(24).min(1),
    name: runes(300).min(1),
    type: z.enum(['text', 'textarea', 'select', 'bool']),
    help_text: runes(150).optional(),
    placeholder: runes(150).optional(),
    optional: z.boolean().optional(),
    default: z.string().optional(),
    min_length: z.int().min(0).optional(),
    max_length: z.int().min(1).optional(),
    options: z.array(Option).optional(),
  })
  .superRefine((element, context) => {
    const most = element.type === 'textarea' ? 3000 : 150
    const wrong = (message: string): void => context.addIssue({ code: 'custom', message })
    if (element.type !== 'select' && (element.max_length ?? 0) > most) wrong(`max_length over ${most}`)
    // A list without entries never finishes loading.
    if (element.type === 'select' && (element.options ?? []).length === 0) wrong('a select without options')
    if (element.type !== 'select' && element.options) wrong('options without a select')
    if (element.type !== 'select' && [...(element.default ?? '')].length > (element.max_length ?? most))
      wrong('default over max_length')
  })

export const OpenDialog = z.strictObject({
  trigger_id: z.string().min(1),
  url: z.url({ protocol: /^https?$/ }),
  dialog: z.strictObject({
    callback_id: z.string().max(300),
    title: runes(24).min(1),
    introduction_text: z.string().max(3000).optional(),
    elements: z.array(Element).max(5),
    submit_label: runes(24).optional(),
    notify_on_cancel: z.boolean().optional(),
    state: z.string().max(3000),
  }),
})
export type OpenDialog = z.infer<typeof OpenDialog>

/** What an integration may answer to a button that was pressed. */
export const ActionAnswer = z.strictObject({
  update: z
    .strictObject({ message: z.string().optional(), props: z.record(z.string(), z.unknown()).nullable().optional() })
    .optional(),
  ephemeral_text: z.string().optional(),
  skip_slack_parsing: z.boolean().optional(),
})

export const DialogAnswer = z.strictObject({
  errors: z.record(z.string(), z.string()).optional(),
  error: z.string().optional(),
})

export const CommandAnswer = z.strictObject({
  response_type: z.enum(['ephemeral', 'in_channel']).optional(),
  text: z.string().optional(),
  skip_slack_parsing: z.boolean().optional(),
})
