import { existsSync, readFileSync } from 'node:fs'
import { Refused } from '../foundation/errors.ts'

export interface MovedStore {
  /** The file while it is copied: nobody may write it */
  readonly moving: string
  /** After it was */
  readonly moved: string
  /** Says where to */
  readonly note: string
}

export const movedStore = (path: string): MovedStore => ({
  moving: `${path}.moving`,
  moved: `${path}.moved`,
  note: `${path}.moved-to`,
})

/** A daemon that began anew beside a store that was moved away would begin a second history. Errors: Refused('store_unavailable'). */
export function refuseMoved(path: string): void {
  const { moving, moved, note } = movedStore(path)
  if (existsSync(path)) return
  if (existsSync(moving))
    throw new Refused(
      'store_unavailable',
      `${path} is being moved to another database, or that was cut off`,
      'run the same sallyport storage move again',
    )
  if (!existsSync(moved)) return
  const to = existsSync(note) ? readFileSync(note, 'utf8').trim() : 'another database'
  throw new Refused('store_unavailable', `this store was moved to ${to}`, 'set storage in the configuration')
}
