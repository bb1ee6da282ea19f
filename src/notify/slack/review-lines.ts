import type { RequestView } from '../../contract/message.ts'
import { formatDuration } from '../../contract/duration.ts'
import { cutTo, inertLine } from './inert-text.ts'

type ReviewView = RequestView['reviews'][number]

/** Who has answered what, newest last; `limit` in UTF-16 units for each line. */
export function reviewLines(reviews: readonly ReviewView[], limit: number): string[] {
  const shown = reviews.slice(-10)
  const more = reviews.length - shown.length
  return [...(more > 0 ? [`and ${more} before`] : []), ...shown.map((review) => cutTo(line(review), limit).text)]
}

function line(review: ReviewView): string {
  const mark = review.decision === 'approve' ? '✓' : '✗'
  const who = review.onBehalfOf === null ? review.reviewer : `${review.reviewer} for ${review.onBehalfOf}`
  const verb = review.decision === 'approve' ? 'approved' : 'denied'
  const long = review.duration === null ? '' : ` for ${formatDuration(review.duration)}`
  const why = review.reason === null || review.reason === '' ? '' : `: ${review.reason}`
  const void_ = review.counts ? '' : ` (does not count${review.why === null ? '' : `: ${review.why}`})`
  return inertLine(`${mark} ${who} ${verb}${long}${void_}${why}`)
}
