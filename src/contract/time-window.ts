import { z } from 'zod'

/** ISO order. */
export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
export type Weekday = (typeof WEEKDAYS)[number]

const wallTime = (last: string) =>
  z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/, `a time of day is 00:00 to ${last}, as in 09:30`)

/** Hours of a week on the clock of one place: `{ days: [mon, fri], from: '09:00', to: '18:00', zone: Europe/Berlin }`. */
export const TimeWindow = z
  .strictObject({
    /** Days on which it opens; left out: every day */
    days: z.array(z.enum(WEEKDAYS)).min(1).max(7).optional(),
    from: wallTime('23:59').default('00:00'),
    /** Not after `from`: it closes on the next day. 24:00 is the end of the day */
    to: wallTime('24:00').default('24:00'),
    /** Name of the IANA time zone database, or UTC */
    zone: z.string().max(64).default('UTC'),
  })
  .superRefine(({ from, to, zone }, context) => {
    if (from === '24:00') context.addIssue({ code: 'custom', path: ['from'], message: 'write 00:00' })
    if (from === to)
      context.addIssue({ code: 'custom', path: ['to'], message: 'a window of no time: from and to are the same' })
    if (!isZone(zone))
      context.addIssue({
        code: 'custom',
        path: ['zone'],
        message: `"${zone}" is no time zone; write one like Europe/Berlin`,
      })
  })
export type TimeWindow = z.infer<typeof TimeWindow>

function isZone(zone: string): boolean {
  // `+01:00` is a zone for Intl, too, but one that knows no summer time: nobody means that.
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(zone)) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
