import type { ResourceKind } from '../contract/common.ts'
import type { Labels } from './label-matching.ts'

/** What rules see of a resource. The first five fields are pinned when access to it is granted. */
export interface ResourceFacts {
  readonly kind: ResourceKind
  /** Rights follow it; it never comes back */
  readonly id: string
  readonly name: string
  readonly labels: Labels
  /** What the thing behind the name proves itself by: another value is another thing */
  readonly identity: string
  /** A database where users are made on connect, with the roles of the server that our roles name. Never pinned */
  readonly isJustInTime?: true
}

/** Stands for what is not there, so that an absent resource takes the same path as one that nobody gives. */
export function absentResource(kind: ResourceKind, name: string): ResourceFacts {
  return { kind, id: '', name, labels: {}, identity: '' }
}

/** `node/db-box`, as it is typed. */
export const resourceKey = ({ kind, name }: Pick<ResourceFacts, 'kind' | 'name'>): string => `${kind}/${name}`
