/** One way to the same target: what is typed after `ssh`, and which environment it needs. */
export interface SshHost {
  readonly name: string
  /** Options and destination: `-F file host`. */
  readonly options: readonly string[]
  readonly destination: string
}

export const ssh = (host: SshHost, ...command: readonly string[]): string[] => [
  'ssh',
  ...host.options,
  host.destination,
  ...command,
]

export interface Hosts {
  /** Direct, by way of the bare forwarder */
  readonly forwarded: SshHost
  readonly direct: SshHost
  readonly jump: SshHost
  readonly sallyport: SshHost
}

/** Ours last in one run, first in the next: what drifts with time hits everybody alike. */
export const interleaved = (hosts: readonly SshHost[], round: number): readonly SshHost[] =>
  round % 2 === 0 ? hosts : hosts.toReversed()
