import { describe, expect, it } from 'vitest'
import { architecture, experiment, families, parse, type ModelConfig } from '#contract'
import { resolveExperiment } from './resolve'
import { corpus, teacher as teacherRow, tokenizer } from './testing'

/** Of six layers, every third of which has no positions and no window. */
const model: ModelConfig = {
  family: 'smollm3',
  vocab: 300,
  rows: 320,
  width: 32,
  layers: 6,
  heads: 4,
  kvHeads: 2,
  hidden: 64,
  context: 64,
  tied: true,
  ropeBase: 2_000_000,
  normEpsilon: 1e-6,
  architecture: architecture.parse({
    positions: { byLayer: [0, 0, null, 0, 0, null] },
    attention: { windows: [8, 8, null, 8, 8, null] },
  }),
}
const teacher = teacherRow({
  id: 'smol-1',
  name: 'smol',
  source: 'huggingface',
  tokenizer: 'bpe',
  model,
})
const library = {
  corpora: [corpus],
  tokenizers: [tokenizer('bpe', 'a'), tokenizer('other', 'b')],
  teachers: [teacher],
  runs: [],
  dataDir: '/nowhere',
}

function resolve(student: unknown, changes: Record<string, unknown> = {}) {
  const definition = { name: 'e', corpus: 'recipes', student, teachers: [], ...changes }
  return resolveExperiment(parse(experiment, definition), library)
}

describe('a student that begins as a model of the library', () => {
  it('has its family, its tokenizer, its padding, and of each layer what that layer computes', () => {
    const { student, origin, tokenizer: own } = resolve({ from: 'smol', layers: [0, 2, 5] })
    expect(own.name).toBe('bpe')
    expect(origin).toEqual({ id: 'smol-1', name: 'smol', digest: teacher.digest, layers: [0, 2, 5] })
    expect(student).toMatchObject({ family: 'smollm3', layers: 3, width: 32, rows: 320 })
    expect(student.architecture!.positions.byLayer).toEqual([0, null, null])
    expect(student.architecture!.attention.windows).toEqual([8, null, null])
  })

  it('has all of them, or every other with the last', () => {
    expect(resolve({ from: 'smol' }).student).toEqual(model)
    expect(resolve({ from: 'smol', layers: 'every-other' }).origin!.layers).toEqual([1, 3, 5])
  })

  it('comes back from a run’s folder as it was', () => {
    const { experiment: definition } = resolve({ from: 'smol', layers: [1, 2] })
    expect(parse(experiment, JSON.parse(JSON.stringify(definition)))).toEqual(definition)
  })

  it.each([
    [{ from: 'nobody' }, {}, /^student\.from: .*nobody/],
    [
      { from: 'smol', layers: [0, 6] },
      {},
      /^student\.layers: model "smol" has no layer 6; expected .*0 to 5/,
    ],
    [{ from: 'smol', layers: 3 }, {}, /^student\.layers: expected all, every-other or a list/],
    [{ from: 'smol', width: 16 }, {}, /^student\.width: a student that begins from a model has that/],
    [{ from: 'smol' }, { tokenizer: 'other' }, /^tokenizer: the student begins as "smol".*"bpe"/],
    [
      { width: 16, heads: 2, layers: 'all' },
      { tokenizer: 'bpe' },
      /^student\.layers: .*goes with student\.from/,
    ],
    [{ width: 16, layers: 2 }, { tokenizer: 'bpe' }, /^student\.heads: /],
    [{ form: 'smol' }, {}, /^student\.form: unknown key; expected "from"/],
    [
      { family: 'gpt2', width: 16, heads: 2, kvHeads: 1, layers: 1 },
      { tokenizer: 'bpe' },
      /^student\.kvHeads: .*gpt2/,
    ],
  ])('is refused as %j with %j', (student, changes, message) => {
    expect(() => resolve(student, changes)).toThrow(message)
  })
})

describe('a student from nothing', () => {
  const sizes = { width: 32, layers: 4, heads: 4, hidden: 48, context: 64 }

  it('is a Llama where it says nothing else, with nothing more in its description than before', () => {
    const { student } = resolve(sizes, { tokenizer: 'bpe' })
    expect(Object.keys(student).sort()).toEqual(
      'context family heads hidden kvHeads layers normEpsilon ropeBase tied vocab width'.split(' '),
    )
  })

  it.each(families)('may be of the family %s', (family) => {
    const { student } = resolve({ ...sizes, family }, { tokenizer: 'bpe' })
    expect(student).toMatchObject({ ...sizes, family, vocab: 300 })
  })
})
