import { describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import {
  experiment,
  parse,
  SCHEMA_VERSION,
  studentArchitecture,
  type Checkpoint,
  type RunConfig,
} from '#contract'
import { modelCard, type CardSource } from './modelCard'

const now = '2026-01-01T00:00:00.000Z'
const digestOf = (digit: string) => digit.repeat(64)
const sizes = { width: 16, layers: 1, heads: 2 }
/** A name as a stranger may choose it: YAML, Markdown and HTML at once. */
const NASTY = '- x: "y" # ``` | <script>alert(1)<b> [a](javascript:b) *z* \u2028 🙂 &a !!b'

function source(name = 'two-plays', corpus = 'plays'): CardSource {
  const definition = parse(experiment, {
    name,
    corpus,
    student: { family: 'qwen3', ...sizes },
    teachers: [name],
    weighting: { strategy: 'entropy' },
    train: { steps: 40, learningRate: 0.002 },
  })
  const config: RunConfig = {
    schemaVersion: SCHEMA_VERSION,
    id: 'run',
    name,
    kind: 'student',
    method: 'entropy',
    experiment: definition,
    corpora: [
      {
        weight: 1,
        row: {
          id: 'plays',
          name: corpus,
          format: 'text',
          source: '/home/somebody/secret/plays.txt',
          bytes: 1234,
          documents: 56,
          heldOutDocuments: 3,
          digest: digestOf('a'),
          sample: '',
          createdAt: now,
        },
      },
    ],
    tokenizer: {
      id: 'tok',
      name: 'tok',
      kind: 'bpe',
      vocab: 300,
      digest: digestOf('b'),
      lossless: true,
      createdAt: now,
    },
    teachers: [
      {
        id: 'teacher',
        name,
        source: 'huggingface',
        tokenizer: 'tok',
        model: { family: 'onnx', vocab: 300 },
        parameters: 4321,
        digest: digestOf('c'),
        perplexity: {},
        calibrations: [],
        createdAt: now,
      },
    ],
    student: {
      family: 'qwen3',
      vocab: 300,
      ...sizes,
      kvHeads: 2,
      hidden: 48,
      context: 256,
      tied: true,
      ropeBase: 10000,
      normEpsilon: 1e-6,
      architecture: studentArchitecture('qwen3', sizes),
    },
    createdAt: now,
  }
  const checkpoint: Checkpoint = {
    schemaVersion: SCHEMA_VERSION,
    step: 30,
    tokens: 6000,
    seconds: 1,
    files: {},
  }
  const score = {
    corpus: 'plays',
    tokens: 100,
    bytes: 300,
    crossEntropy: 1.5,
    perplexity: 4.4817,
    bitsPerByte: 0.7213,
  }
  return {
    config,
    checkpoint,
    evaluation: { split: 'held-out', step: 30, ...score, corpora: [score], seconds: 1 },
  }
}

/** Front matter as data, and the text after it. */
function read(card: string) {
  const [, front, text] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(card)!
  return { front: parseYaml(front!) as Record<string, unknown>, text: text! }
}

describe('a model card', () => {
  it('has the Hub’s front matter, with the checkpoint’s metrics', () => {
    const { front } = read(modelCard(source()))
    expect(front).toEqual({
      library_name: 'transformers',
      pipeline_tag: 'text-generation',
      license: 'unknown',
      datasets: ['plays'],
      tags: ['retort', 'text-generation', 'qwen3', 'knowledge-distillation', 'entropy'],
      'model-index': [
        {
          name: 'two-plays',
          results: [
            {
              task: { type: 'text-generation' },
              dataset: { name: 'plays', type: 'plays', split: 'held-out' },
              metrics: [
                { type: 'perplexity', name: 'Perplexity', value: 4.4817 },
                { type: 'bits_per_byte', name: 'Bits per byte', value: 0.7213 },
              ],
            },
          ],
        },
      ],
    })
  })

  it('of adapters alone is PEFT’s, and says what they stand beside', () => {
    const { front, text } = read(modelCard({ ...source(), adapter: true }))
    expect(front).toMatchObject({ library_name: 'peft', tags: expect.arrayContaining(['lora']) as unknown })
    expect(text).toContain('AutoModelForCausalLM.from_pretrained("FOLDER/base")')
    expect(read(modelCard(source())).text).not.toContain('FOLDER')
  })

  it('says the recipe, what it was made from by digest, and that licences are unknown', () => {
    const { text } = read(modelCard(source()))
    for (const line of [
      '| train.steps | 40 |',
      '| train.learningRate | 0.002 |',
      '| weighting.strategy | entropy |',
      '| checkpoint | step 30 |',
      '| computed with | unknown |',
      `| two-plays | huggingface | 4321 | ${digestOf('c')} |`,
      `| plays | 1 | plays.txt | 56 | 1234 | ${digestOf('a')} |`,
      '- the teacher two-plays: unknown',
      '- the corpus plays: unknown',
    ])
      expect(text).toContain(line)
    expect(text).not.toContain('somebody')
  })

  it('has a definition that is the run’s own', () => {
    const given = source()
    const [, definition] = /```yaml\n([\s\S]*?)```/.exec(modelCard(given))!
    expect(parse(experiment, parseYaml(definition!))).toEqual(given.config.experiment)
  })

  it('names the model that a student began as; what was not evaluated is unknown', () => {
    const { config, checkpoint } = source()
    const origin = { id: 'base', name: 'smol', digest: digestOf('d'), layers: [0] }
    const { front, text } = read(modelCard({ config: { ...config, origin }, checkpoint }))
    expect(front['base_model']).toEqual(['smol'])
    expect(text).toContain('It began as the model smol.')
    expect(read(modelCard(source())).text).toContain('It began with random weights.')
    const { student } = config.experiment
    const init = { teacher: 'two-plays', layers: 'first' } as const
    const layers = modelCard({
      config: {
        ...config,
        experiment: { ...config.experiment, student: { ...student, init } as typeof student },
      },
      checkpoint,
    })
    expect(layers).toContain('It began with layers of the teacher two-plays.')
    expect(read(layers).front['base_model']).toEqual(['two-plays'])
    expect(text).toContain('its metrics are unknown')
    expect(front['model-index']).toEqual([{ name: 'two-plays', results: [] }])
  })

  it('leaves numbers out of the index that are none, and shows them', () => {
    const given = source()
    const corpora = [{ ...given.evaluation!.corpora[0]!, perplexity: 'Infinity' as const }]
    const { front, text } = read(modelCard({ ...given, evaluation: { ...given.evaluation!, corpora } }))
    expect(JSON.stringify(front['model-index'])).not.toContain('perplexity')
    expect(text).toContain('| plays | ∞ | 0.7213 |')
  })

  it('is inert whatever things are called', () => {
    const { front, text } = read(modelCard(source(NASTY, NASTY)))
    expect(front['datasets']).toEqual([NASTY])
    expect((front['model-index'] as { name: string }[])[0]!.name).toBe(NASTY)
    const [prose] = text.split('````yaml')
    // No tag, link, code or cell of a stranger's: each sign stands behind a backslash.
    for (const sign of ['<script', '](javascript', '```', '*z']) {
      const at = [...prose!.matchAll(new RegExp(sign.replace(/[\\^$*()[\]]/g, '\\$&'), 'g'))]
      for (const { index } of at) expect(prose![index - 1]).toBe('\\')
    }
    const [, definition] = /````yaml\n([\s\S]*?)````/.exec(text)!
    expect((parseYaml(definition!) as { name: string }).name).toBe(NASTY)
  })
})
