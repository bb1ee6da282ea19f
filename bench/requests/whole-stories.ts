import type { StoryHouse } from './story-house.ts'

/** Create, two reviews, grant: told by `inFlight` people at once, each when the one before is over. Stories per second. */
export async function wholeStories(house: StoryHouse, count: number, inFlight: number, first: number): Promise<number> {
  let next = first
  const started = performance.now()
  const teller = async (): Promise<void> => {
    while (next < first + count) await story(house, next++)
  }
  await Promise.all(Array.from({ length: inFlight }, teller))
  return count / ((performance.now() - started) / 1000)
}

async function story({ world, people, roles, reviewers }: StoryHouse, n: number): Promise<void> {
  const name = people[n % people.length] ?? ''
  const role = roles[n % roles.length] ?? ''
  const request = await world.ask(name, [role], { reason: `ticket ${n}` })
  const leads = [0, 1].map((offset) => reviewers[(n + offset) % reviewers.length] ?? '')
  let seen = request
  for (const lead of leads) seen = await world.approve(lead, request.id, { seen })
  if (seen.grant?.state !== 'active') throw new Error(`story ${n} did not end with a grant`)
}
