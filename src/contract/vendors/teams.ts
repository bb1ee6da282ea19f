import { z } from 'zod'
import { Name } from '../common.ts'
import { ServiceUrl } from './service-url.ts'

/** Teams has no settings of its own: what it needs is secret. */
export const TeamsSettings = z.strictObject({})
export type TeamsSettings = z.infer<typeof TeamsSettings>

export const TeamsSecrets = z.strictObject({
  /**
   * Address of the workflow "when a webhook request is received" of each channel, under the name that `deliver` calls the
   * channel. Whoever knows an address can post there.
   */
  workflows: z.record(Name, ServiceUrl).refine((all) => {
    const count = Object.keys(all).length
    return count >= 1 && count <= 50
  }, 'between 1 and 50 workflows'),
})
export type TeamsSecrets = z.infer<typeof TeamsSecrets>
