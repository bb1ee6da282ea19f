import { z } from 'zod'

// What Slack takes of the blocks that we send, written from its reference of Block Kit: strict, as `invalid_blocks` is.

/** No half of a character, nothing invisible that turns the line around. */
const Text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => text.trim() !== '', 'must be more than blanks')
    .refine((text) => text.isWellFormed(), 'has half a character')

const Plain = (max: number) =>
  z.strictObject({ type: z.literal('plain_text'), text: Text(max), emoji: z.boolean().optional() })
const Mrkdwn = (max: number) =>
  z.strictObject({ type: z.literal('mrkdwn'), text: Text(max), verbatim: z.boolean().optional() })
const Either = (max: number) => z.discriminatedUnion('type', [Plain(max), Mrkdwn(max)])

const ActionId = z.string().min(1).max(255)
const Button = z.strictObject({
  type: z.literal('button'),
  action_id: ActionId,
  text: Plain(75),
  value: z.string().max(2000).optional(),
  url: z.url().max(3000).optional(),
  style: z.enum(['primary', 'danger']).optional(),
})

const Option = z.strictObject({ text: Plain(75), value: z.string().min(1).max(150) })
const Options = z.array(Option).min(1).max(100)
const Groups = z
  .array(z.strictObject({ label: Plain(75), options: Options }))
  .min(1)
  .max(100)
const Offered = { action_id: ActionId, options: Options.optional(), option_groups: Groups.optional() }

const oneList = (element: { options?: unknown; option_groups?: unknown }): boolean =>
  (element.options === undefined) !== (element.option_groups === undefined)

const Element = z.discriminatedUnion('type', [
  z
    .strictObject({
      type: z.literal('plain_text_input'),
      action_id: ActionId,
      multiline: z.boolean().optional(),
      max_length: z.int().min(1).max(3000).optional(),
      initial_value: z.string().optional(),
    })
    .refine((input) => (input.initial_value ?? '').length <= (input.max_length ?? 3000), 'initial_value is too long'),
  z
    .strictObject({ type: z.literal('static_select'), ...Offered, initial_option: Option.optional() })
    .refine(oneList, 'options or option_groups'),
  z
    .strictObject({ type: z.literal('multi_static_select'), ...Offered, initial_options: Options.optional() })
    .refine(oneList, 'options or option_groups'),
])

const Header = z.strictObject({ type: z.literal('header'), text: Plain(150) })
const Section = z
  .strictObject({
    type: z.literal('section'),
    text: Either(3000).optional(),
    fields: z.array(Either(2000)).min(1).max(10).optional(),
  })
  .refine((section) => section.text !== undefined || section.fields !== undefined, 'text or fields')
const Context = z.strictObject({ type: z.literal('context'), elements: z.array(Either(3000)).min(1).max(10) })
const Divider = z.strictObject({ type: z.literal('divider') })
const Actions = z
  .strictObject({ type: z.literal('actions'), elements: z.array(Button).min(1).max(25) })
  .refine(({ elements }) => new Set(elements.map((each) => each.action_id)).size === elements.length, 'action_id twice')
const Input = z.strictObject({
  type: z.literal('input'),
  block_id: z.string().min(1).max(255),
  label: Plain(2000),
  hint: Plain(2000).optional(),
  optional: z.boolean().optional(),
  element: Element,
})

const MessageBlock = z.discriminatedUnion('type', [Header, Section, Context, Divider, Actions])
const ModalBlock = z.discriminatedUnion('type', [Header, Section, Context, Divider, Actions, Input])

/** In a message; texts of all blocks together are bounded too, as `msg_blocks_too_long` says. */
export const MessageBlocks = z.array(MessageBlock).min(1).max(50)
export type MessageBlocks = z.infer<typeof MessageBlocks>

export const Modal = z
  .strictObject({
    type: z.literal('modal'),
    callback_id: z.string().max(255).optional(),
    private_metadata: z.string().max(3000).optional(),
    title: Plain(24),
    submit: Plain(24).optional(),
    close: Plain(24).optional(),
    blocks: z.array(ModalBlock).min(1).max(100),
  })
  .refine(
    (view) => view.submit !== undefined || view.blocks.every((block) => block.type !== 'input'),
    'inputs need submit',
  )
  .refine((view) => {
    const ids = view.blocks.flatMap((block) => (block.type === 'input' ? [block.block_id] : []))
    return new Set(ids).size === ids.length
  }, 'block_id twice')
export type Modal = z.infer<typeof Modal>

/** Characters of text in blocks, of which a message has about 13,200. */
export const MOST_TEXT = 13_200

export function textIn(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, each) => sum + textIn(each), 0)
  if (typeof value !== 'object' || value === null) return 0
  return Object.entries(value).reduce(
    (sum, [key, each]) => sum + (key === 'text' && typeof each === 'string' ? each.length : textIn(each)),
    0,
  )
}
