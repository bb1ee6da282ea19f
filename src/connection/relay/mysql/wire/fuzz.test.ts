import { describe, expect, test } from 'vitest'
import { readCorpus } from '../../../../../test/support/fuzz/corpus.ts'
import { fuzz } from '../../../../../test/support/fuzz/fuzzer.ts'
import { MYSQL_TARGETS } from '../../../../../test/support/fuzz/mysql-targets.ts'

/** The long run is script/fuzz. */
const RUNS = 60

describe.each(MYSQL_TARGETS)('$name', (target) => {
  test('keeps its promises for what was found before and for some of what was not', () => {
    const corpus = readCorpus(target.name)
    const most = target.seeds.length + corpus.length + RUNS
    const { broken, runs } = fuzz(target, { seed: 1, corpus, coverage: null, goOn: (done) => done < most })
    expect(corpus.length).toBeGreaterThan(0)
    expect(runs).toBeGreaterThanOrEqual(most)
    expect(broken).toBeNull()
  })
})
