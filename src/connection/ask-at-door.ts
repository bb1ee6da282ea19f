import type { AskWay } from '../contract/access-check.ts'
import type { NamedResource, RequestState } from '../contract/request.ts'

/** Who stands at the door, by what was proven. */
export interface DoorPerson {
  readonly userId: string
  readonly userName: string
  readonly loginSessionId: string
  readonly protocol: 'ssh' | 'postgres' | 'mysql'
}

export interface WantedAtDoor {
  readonly place: NamedResource
  /** Login or db user; null: none named */
  readonly account: string | null
  readonly ways: readonly AskWay[]
}

/** Access requests as a refused connection needs them. Connections know no more of them; main gives the real ones. */
export interface AskAtDoor {
  /** Id of an undecided request of this person that would give it */
  pending(person: DoorPerson, wanted: WantedAtDoor): Promise<string | null>
  /** Resolves with the id. Errors: Refused, as of `sally request create`. */
  ask(
    person: DoorPerson,
    asked: { readonly way: AskWay; readonly reason: string; readonly durationMs: number },
  ): Promise<string>
  /** Tells how the request stands, at once and at each change, until it is decided. Lines are plain and one line each. */
  watch(person: DoorPerson, requestId: string, onStanding: (standing: RequestStanding) => void): { stop(): void }
}

export interface RequestStanding {
  readonly state: RequestState
  /** What is new */
  readonly lines: readonly string[]
}
