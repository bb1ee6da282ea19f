/** Ours last in one round, first in the next: what drifts with time hits everybody alike. */
export const inTurn = <Target>(targets: readonly Target[], round: number): readonly Target[] =>
  round % 2 === 0 ? targets : targets.toReversed()
