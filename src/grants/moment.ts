/**
 * A stretch of time, `from` <= now < `until`, in which the clock changes nothing of what a user may do. As an object it also
 * stands for the rows that this depends on: the snapshot makes another one as soon as one of them changes. So what is worked
 * out from those rows and the clock alone may be remembered by it. Instants in ms.
 */
export interface Moment {
  readonly from: number
  readonly until: number
}

/** The stretch around `now` between the instants at which something starts or ends; each belongs to what comes after it. */
export function momentAround(now: number, instants: Iterable<number>): Moment {
  let [from, until] = [-Infinity, Infinity]
  for (const at of instants) {
    if (at <= now) from = Math.max(from, at)
    else until = Math.min(until, at)
  }
  return { from, until }
}

export const includes = (moment: Moment, now: number): boolean => moment.from <= now && now < moment.until

/** Remembers what `work` answers for as long as a moment lasts, by moment and key. */
export class RememberedByMoment<V> {
  readonly #answers = new WeakMap<Moment, Map<string, V>>()

  of(moment: Moment, key: string, work: () => V): V {
    let ofMoment = this.#answers.get(moment)
    if (!ofMoment) this.#answers.set(moment, (ofMoment = new Map()))
    const known = ofMoment.get(key)
    if (known !== undefined) return known
    const fresh = work()
    ofMoment.set(key, fresh)
    return fresh
  }
}
