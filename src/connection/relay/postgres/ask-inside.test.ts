import { describe, expect, test } from 'vitest'
import type { AskAnswer, RequestNews } from '../../control-plane.ts'
import { AskInside, type AskOutcome } from './ask-inside.ts'

const WAITING: AskAnswer = { kind: 'waiting', lines: ['asked (req_1)'] }
const PROMPT: AskAnswer = { kind: 'prompt', lines: ['give the reason'], prompt: 'Reason: ' }
const AGAIN: AskAnswer = { kind: 'prompt', lines: ['a reason is required'], prompt: 'Reason: ' }

/** Answers each ask in turn. */
function door(answers: readonly (AskAnswer | Error)[], reason: string | null = null) {
  const asked: (string | null)[] = []
  const shown: string[] = []
  let tell: (news: RequestNews) => void = () => {}
  let left = 0
  const asking = new AskInside({
    control: {
      ask: ({ reason: given }) => {
        asked.push(given)
        const answer = answers[asked.length - 1] ?? new Error('asked too often')
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
      },
      watchRequest: (_door, onNews) => {
        tell = onNews
        return { stop: () => void (left += 1) }
      },
    },
    door: 'dor_1',
    refusal: ['no access'],
    reason,
    show: (lines) => void shown.push(...lines),
  })
  return { asking, asked, shown, tell: (news: RequestNews) => tell(news), left: () => left }
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

describe('asking without a prompt', () => {
  test('waits while it shows the refusal, the request and its progress, and goes on when it is approved', async () => {
    const { asking, shown, tell, left } = door([PROMPT, WAITING])
    const outcome = asking.run(new AbortController().signal)
    await settle()
    tell({ kind: 'progress', lines: ['bob approved'] })
    tell({ kind: 'go', lines: ['approved by carol'] })
    expect(await outcome).toEqual({ kind: 'go' })
    expect(shown).toEqual(['no access', 'asked (req_1)', 'bob approved', 'approved by carol'])
    expect(left()).toBe(0)
    asking.leave()
    expect(left()).toBe(1)
  })

  test('news that overtakes the answer is told behind it', async () => {
    const { asking, shown, tell } = door([PROMPT, WAITING])
    const outcome = asking.run(new AbortController().signal)
    tell({ kind: 'progress', lines: ['waiting: 0 of 1'] })
    tell({ kind: 'go', lines: ['approved by carol'] })
    expect(await outcome).toEqual({ kind: 'go' })
    expect(shown).toEqual(['no access', 'asked (req_1)', 'waiting: 0 of 1', 'approved by carol'])
  })

  test.each([
    ['none', null, '-'],
    ['that of the connection', 'fix order 7', 'fix order 7'],
  ])('the reason is %s', async (_what, reason, given) => {
    const { asking, asked } = door([PROMPT, WAITING], reason)
    void asking.run(new AbortController().signal)
    await settle()
    expect(asked).toEqual([null, given])
  })

  test('one who has asked already waits for that request', async () => {
    const { asking, asked, shown } = door([WAITING])
    void asking.run(new AbortController().signal)
    await settle()
    expect([asked, shown]).toEqual([[null], ['no access', 'asked (req_1)']])
  })

  test('without the reason that is required nothing is asked, and the refusal says how to give it', async () => {
    const { asking, asked } = door([PROMPT, AGAIN])
    const outcome = await asking.run(new AbortController().signal)
    expect(outcome).toMatchObject({ kind: 'refused', code: 'reason_required' })
    expect((outcome as Extract<AskOutcome, { kind: 'refused' }>).lines.join('\n')).toMatch(
      /no access[^]*a reason is required[^]*PGOPTIONS='-c sallyport\.reason=/,
    )
    expect(asked.length).toBe(2)
  })

  test.each([
    ['denied', { kind: 'over', lines: ['denied by bob'] } as const, ['denied by bob']],
    ['given otherwise', { kind: 'go', lines: [] } as const, null],
  ])('a request that is %s ends the waiting', async (_what, news, lines) => {
    const { asking, tell } = door([WAITING])
    const outcome = asking.run(new AbortController().signal)
    await settle()
    tell(news)
    expect(await outcome).toMatchObject(lines === null ? { kind: 'go' } : { kind: 'refused', lines })
  })

  test('access that came meanwhile needs no request', async () => {
    expect(await door([{ kind: 'go' }]).asking.run(new AbortController().signal)).toEqual({ kind: 'go' })
  })

  test('a control side that fails, a client that leaves and a proxy that stops end it', async () => {
    const failing = await door([new Error('gone')]).asking.run(new AbortController().signal)
    expect(failing).toMatchObject({ kind: 'refused', code: 'store_unavailable' })
    expect(await door([WAITING]).asking.run(AbortSignal.abort())).toMatchObject({ kind: 'refused', lines: [] })
    const { asking } = door([WAITING])
    const outcome = asking.run(new AbortController().signal)
    asking.end('the proxy stops')
    expect(await outcome).toMatchObject({ kind: 'refused', lines: ['the proxy stops'] })
  })
})
