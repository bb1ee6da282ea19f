/** What was seen is not the protocol, or goes over a limit of ours: the observer stops following. Stays inside `observe/`. */
export class Undecodable extends Error {
  override readonly name = 'Undecodable'
}
