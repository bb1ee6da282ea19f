import type { House, Person } from './house.ts'
import { actionsOf, type Post } from './post-store.ts'
import type { OpenDialog } from './schemas.ts'

/** Somebody with a Mattermost client: presses, types and fills in, over HTTP. */
export class MattermostPerson {
  readonly id: string
  readonly username: string
  readonly #url: string
  readonly #house: House
  readonly #person: Person

  constructor(url: string, house: House, person: Person) {
    this.#url = url
    this.#house = house
    this.#person = person
    this.id = person.id
    this.username = person.username
  }

  /** The answer of a call of the API. */
  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
    const answer = await fetch(`${this.#url}/api/v4${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#person.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }

  /** `name`: what stands on the button. */
  async press(postId: string, name: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const post = this.#house.posts.get(postId)
    const action = post && actionsOf(post).find((each) => each.name === name)
    if (!action) throw new Error(`there is no button ${name}`)
    return this.call('POST', `/posts/${postId}/actions/${action.id}`)
  }

  /** The form that was opened last for this person. */
  dialog(): OpenDialog | undefined {
    return this.#house.dialogs.findLast((each) => each.userId === this.id)?.open
  }

  /** Sends that form. `changed`: what a hostile client writes instead of what it was given. */
  submit(
    submission: Readonly<Record<string, unknown>>,
    changed: Readonly<Record<string, unknown>> = {},
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const open = this.dialog()
    if (!open) throw new Error(`no form was opened for ${this.username}`)
    return this.call('POST', '/actions/dialogs/submit', {
      url: open.url,
      callback_id: open.dialog.callback_id,
      state: open.dialog.state,
      channel_id: 'a'.repeat(26),
      team_id: this.#house.teamId,
      submission,
      cancelled: false,
      ...changed,
    })
  }

  /** `/access mine` */
  type(channelId: string, command: string): Promise<{ status: number; body: Record<string, unknown> }> {
    return this.call('POST', '/commands/execute', { channel_id: channelId, command })
  }

  /** What only this person was shown. */
  whispers(): string[] {
    return this.#house.ephemeral.filter((each) => each.userId === this.id).map((each) => each.text)
  }

  /** What the bot wrote to this person, newest first. */
  direct(): Post[] {
    const mine = [...this.#house.channels.values()].find(
      (channel) => channel.type === 'D' && channel.members.has(this.id) && channel.members.has(this.#house.bot.id),
    )
    return mine ? this.#house.posts.ofChannel(mine.id) : []
  }
}

export const buttonsOf = (post: Post): string[] => actionsOf(post).map((action) => action.name)
