import { describe, expect, it } from 'vitest'
import type { MessageContext } from '../../src/message/types.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Decision, Stage, Verdict } from '../../src/pipeline/stage.ts'
import { errorOf } from '../keyring/error-of.ts'
import { bytesOf, contextOf, responseBytes } from '../support/messages.ts'

const requestOf = (method: string): MessageContext =>
  contextOf(bytesOf({ start: `${method} sip:bob@biloxi.example SIP/2.0`, with: { CSeq: `1 ${method}` } }))
const INVITE = requestOf('INVITE')
const ACK = requestOf('ACK')
const CANCEL = requestOf('CANCEL')
const RESPONSE = contextOf(responseBytes('200 OK'))

const ACCEPT: Verdict = {
  verdict: 'accept',
  identity: { kind: 'peer', peer: 'a', key: { group: 'g', name: 'k' } },
  remove: ['X-Auth'],
}
const REJECT: Verdict = { verdict: 'reject', status: 403, reason: 'token-mismatch' }
const CHALLENGE: Verdict = { verdict: 'challenge', status: 407, headers: [['Proxy-Authenticate', 'x']] }
const DROP: Verdict = { verdict: 'drop', reason: 'quiet' }
const ABSTAIN: Verdict = { verdict: 'abstain' }
const because = (reason: string): Verdict => ({ verdict: 'abstain', reason })

interface Seen {
  readonly decision: Decision
  readonly asked: readonly string[]
}

/** A stage that answers `verdict`, throws it, or answers later. */
type Answer = Verdict | Error | { readonly later: Verdict | Error }

const stageOf = (name: string, answer: Answer, asked: string[] = []): Stage => ({
  name,
  judge() {
    asked.push(name)
    if (answer instanceof Error) throw answer
    if (!('later' in answer)) return answer
    return answer.later instanceof Error ? Promise.reject(answer.later) : Promise.resolve(answer.later)
  },
})

async function decide(answers: readonly Answer[], context = INVITE): Promise<Seen> {
  const asked: string[] = []
  const stages = answers.map((answer, i) => stageOf(`s${i + 1}`, answer, asked))
  return { decision: await createPipeline(stages).decide(context), asked }
}

/** The same answers, all at once, all later, and in turns. */
const WAYS: readonly (readonly [string, (answer: Verdict | Error, i: number) => Answer])[] = [
  ['synchronous', (answer) => answer],
  ['asynchronous', (answer) => ({ later: answer })],
  ['mixed, first at once', (answer, i) => (i % 2 === 0 ? answer : { later: answer })],
  ['mixed, first later', (answer, i) => (i % 2 === 1 ? answer : { later: answer })],
]

describe.each(WAYS)('stages that answer %s', (_, way) => {
  const run = (answers: readonly (Verdict | Error)[], context = INVITE): Promise<Seen> =>
    decide(answers.map(way), context)

  it('end with the first that does not abstain, and ask no more', async () => {
    expect(await run([ABSTAIN, ABSTAIN, ACCEPT, REJECT])).toEqual({
      decision: { ...ACCEPT, stage: 's3' },
      asked: ['s1', 's2', 's3'],
    })
    expect(await run([REJECT, ACCEPT])).toEqual({ decision: { ...REJECT, stage: 's1' }, asked: ['s1'] })
  })

  it.each([
    ['no reason given', [ABSTAIN, ABSTAIN], 'no-stage-decided'],
    ['one reason', [because('header-missing'), ABSTAIN], 'header-missing'],
    [
      'the last reason counts',
      [because('header-missing'), because('source-not-allowed')],
      'source-not-allowed',
    ],
    ['a silent one keeps it', [because('first'), because('second'), ABSTAIN], 'second'],
  ])('refuse with 403 where all abstain: %s', async (__, verdicts, reason) => {
    expect((await run(verdicts)).decision).toEqual({
      verdict: 'reject',
      status: 403,
      reason,
      stage: 'pipeline',
    })
  })

  it('are 503 where one fails, whatever comes after it', async () => {
    expect(await run([ABSTAIN, new Error('database down'), ACCEPT])).toEqual({
      decision: { verdict: 'reject', status: 503, reason: 'stage-failed', stage: 's2' },
      asked: ['s1', 's2'],
    })
  })

  it.each([
    ['a response', RESPONSE],
    ['an ACK', ACK],
  ])('never answer %s', async (__, context) => {
    const decisions = await Promise.all(
      [[REJECT], [CHALLENGE], [because('header-missing')], [new Error('x')], [DROP]].map(
        async (answers) => (await run(answers, context)).decision,
      ),
    )
    expect(decisions).toEqual([
      { verdict: 'drop', reason: 'token-mismatch', stage: 's1' },
      { verdict: 'drop', reason: 'unauthenticated', stage: 's1' },
      { verdict: 'drop', reason: 'header-missing', stage: 'pipeline' },
      { verdict: 'drop', reason: 'stage-failed', stage: 's1' },
      { verdict: 'drop', reason: 'quiet', stage: 's1' },
    ])
    expect((await run([ACCEPT], context)).decision).toEqual({ ...ACCEPT, stage: 's1' })
  })

  it('never challenge a CANCEL: it is refused', async () => {
    expect((await run([CHALLENGE], CANCEL)).decision).toEqual({
      verdict: 'reject',
      status: 403,
      reason: 'unauthenticated',
      stage: 's1',
    })
    expect((await run([REJECT], CANCEL)).decision).toEqual({ ...REJECT, stage: 's1' })
  })

  it('challenge other requests with the headers given', async () => {
    expect((await run([CHALLENGE])).decision).toEqual({ ...CHALLENGE, stage: 's1' })
  })
})

describe('createPipeline', () => {
  it('pays for a promise only where a stage gave one', async () => {
    expect(createPipeline([stageOf('a', ABSTAIN), stageOf('b', ACCEPT)]).decide(INVITE)).not.toBeInstanceOf(
      Promise,
    )
    const later = createPipeline([stageOf('a', ABSTAIN), stageOf('b', { later: ACCEPT })]).decide(INVITE)
    expect(later).toBeInstanceOf(Promise)
    await later
    expect(createPipeline([stageOf('a', ACCEPT), stageOf('b', { later: REJECT })]).decide(INVITE)).toEqual({
      ...ACCEPT,
      stage: 'a',
    })
  })

  it('shows each stage the context and nothing else', () => {
    const seen: unknown[][] = []
    const spy = (name: string, verdict: Verdict): Stage => ({
      name,
      judge: (...args) => (seen.push(args), verdict),
    })
    void createPipeline([spy('a', ABSTAIN), spy('b', ACCEPT)]).decide(INVITE)
    expect(seen).toEqual([[INVITE], [INVITE]])
    expect(seen[0]![0]).toBe(INVITE)
  })

  it('keeps `this` of a stage', () => {
    const stage = {
      name: 'with this',
      verdict: ACCEPT,
      judge(): Verdict {
        return this.verdict
      },
    }
    expect(createPipeline([stage]).decide(INVITE)).toMatchObject({ verdict: 'accept' })
  })

  it('copies its stages', () => {
    const stages = [stageOf('a', ACCEPT)]
    const pipeline = createPipeline(stages)
    stages[0] = stageOf('b', REJECT)
    stages.length = 0
    expect(pipeline.decide(INVITE)).toEqual({ ...ACCEPT, stage: 'a' })
  })

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'accept'],
    ['an unknown verdict', { verdict: 'maybe' }],
    ['an empty object', {}],
  ])('fails closed on a stage that answers %s, at once or later', async (_, answer) => {
    const verdict = answer as unknown as Verdict
    const failed = { verdict: 'reject', status: 503, reason: 'stage-failed', stage: 'bad' }
    expect(createPipeline([{ name: 'bad', judge: () => verdict }]).decide(INVITE)).toEqual(failed)
    const later = createPipeline([{ name: 'bad', judge: () => Promise.resolve(verdict) }])
    expect(await later.decide(INVITE)).toEqual(failed)
  })

  it.each([
    ['without a stage', [], 'a pipeline needs a stage'],
    [
      'where two stages have one name',
      [stageOf('a', ACCEPT), stageOf('a', REJECT)],
      'two stages have one name',
    ],
  ])('is refused %s', (_, stages, message) => {
    const error = errorOf(() => createPipeline(stages))
    expect(error.code).toBe('ERR_PIPELINE_INVALID')
    expect(error.issues).toEqual([{ path: 'stages', message }])
  })
})
