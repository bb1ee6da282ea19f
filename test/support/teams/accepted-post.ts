import { z } from 'zod'

// What a workflow that posts adaptive cards takes, as far as we use it: written from the schema of adaptive cards 1.4 and the
// page "Create incoming webhooks with Workflows". Every key that is not listed is refused.

const TextRun = z.strictObject({
  type: z.literal('TextRun'),
  text: z.string().min(1),
  weight: z.enum(['Default', 'Bolder', 'Lighter']).optional(),
})

const RichTextBlock = z.strictObject({ type: z.literal('RichTextBlock'), inlines: z.array(TextRun).min(1) })

const OpenUrl = z.strictObject({
  type: z.literal('Action.OpenUrl'),
  title: z.string().min(1).max(100),
  url: z.url({ protocol: /^https$/ }),
})

const Card = z.strictObject({
  $schema: z.literal('http://adaptivecards.io/schemas/adaptive-card.json'),
  type: z.literal('AdaptiveCard'),
  version: z.enum(['1.0', '1.1', '1.2', '1.3', '1.4', '1.5']),
  body: z.array(RichTextBlock).min(1),
  actions: z.array(OpenUrl).max(6),
})

export const AcceptedPost = z.strictObject({
  type: z.literal('message'),
  attachments: z.tuple([
    z.strictObject({
      contentType: z.literal('application/vnd.microsoft.card.adaptive'),
      contentUrl: z.null(),
      content: Card,
    }),
  ]),
})
export type AcceptedPost = z.infer<typeof AcceptedPost>
