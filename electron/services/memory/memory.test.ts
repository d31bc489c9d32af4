import { describe, expect, it } from 'vitest'
import {
  experiment,
  outOfMemory,
  parameterCount,
  parse,
  type MemoryAdvice,
  type ModelConfig,
  type RunConfig,
} from '#contract'
import { measured, type Shape } from './measuredPeaks'
import { checkMemory, memoryAdvice, memoryLimit, peakMemory } from './memory'

const whole = (model: Shape) => {
  const hidden = Math.ceil((model.width * 8) / 3 / 16) * 16
  return { family: 'llama', ...model, kvHeads: model.heads, hidden, tied: true } as ModelConfig
}

/** What of a configuration counts. Teachers of another vocabulary than the student's are foreign. */
function configOf(
  model: Shape,
  train: Record<string, unknown>,
  teachers: (Shape & { onnx?: boolean })[] = [],
  changes: Record<string, unknown> = {},
): RunConfig {
  const definition = {
    name: 'm',
    corpus: 'c',
    student: { width: model.width, layers: model.layers, heads: model.heads },
    teachers: teachers.map((_, k) => `t${k}`),
    train,
    loss: { features: false },
    ...changes,
  }
  const rows = teachers.map(({ onnx, ...shape }) => ({
    parameters: parameterCount(whole(shape)),
    model: onnx
      ? { family: 'onnx', vocab: shape.vocab, hidden: { width: shape.width, layers: shape.layers } }
      : whole(shape),
  }))
  const own = rows.filter((row) => row.model.vocab === model.vocab)
  const foreign = rows.filter((row) => row.model.vocab !== model.vocab).map((row) => ({ row }))
  const continues = 'continue' in changes && { continues: {} }
  const parsed = { experiment: parse(experiment, definition), student: whole(model), teachers: own, foreign }
  return { ...parsed, ...continues } as unknown as RunConfig
}

const accumulateOf = ({ mend }: MemoryAdvice) => Number(/^train.accumulate=(\d+)$/.exec(mend[0]!)![1])
function thrownBy(act: () => void): string {
  try {
    act()
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('nothing was thrown')
}
const large = () =>
  configOf({ vocab: 2048, width: 384, layers: 6, heads: 6 }, { batch: 16, context: 256 }, [
    { vocab: 2048, width: 128, layers: 3, heads: 4 },
  ])

describe('memory before a run starts', () => {
  it.each(measured)('is within 15 % of $peak MB that were measured: $kind', (run) => {
    const { model, train, teachers, changes, peak } = run
    expect(Math.abs(peakMemory(configOf(model, train, teachers, changes)) / peak - 1)).toBeLessThan(0.15)
  })

  it('is what fits: micro-batches of the same batch, the fewest that do', () => {
    const whole = peakMemory(large())
    expect(memoryAdvice(large(), whole)).toBeUndefined()
    const advice = memoryAdvice(large(), whole - 1)!
    expect(advice.mend).toEqual([`train.accumulate=${accumulateOf(advice)}`])
    expect(16 % accumulateOf(advice)).toBe(0)
    expect(advice.memoryMb!).toBeLessThan(whole)
    const fewer = memoryAdvice(large(), advice.memoryMb! - 1)!
    expect(accumulateOf(fewer)).toBeGreaterThan(accumulateOf(advice))
    // What is proposed is not refused in its turn.
    const mended = large()
    mended.experiment.train.accumulate = accumulateOf(advice)
    expect(() => checkMemory(mended, whole - 1)).not.toThrow()
  })

  it('is what fits with layers computed again, where no micro-batch is small enough', () => {
    const single = large()
    single.experiment.train.accumulate = 16
    const advice = memoryAdvice(single, peakMemory(single) - 1)!
    expect(advice.mend).toEqual(['train.checkpointing=layers'])
    single.experiment.train.checkpointing = 'layers'
    expect(peakMemory(single)).toBe(advice.memoryMb)
  })

  it('is refused in one line with the field and what would fit, or that nothing would', () => {
    const limit = peakMemory(large()) - 1
    const advice = memoryAdvice(large(), limit)!
    const accumulate = accumulateOf(advice)
    const words = `train.accumulate: ${accumulate} (the same batch in micro-batches of ${16 / accumulate})`
    const refusal = thrownBy(() => checkMemory(large(), limit, { file: 'e.yaml' }))
    expect(refusal).toMatch(/^e.yaml: train.accumulate: the run needs about \d+ MB of memory/)
    expect(refusal).toContain(`${limit} MB can be had; expected ${words}, about ${advice.memoryMb} MB`)
    // The alarm of a run that dies of it says the same.
    expect(advice.advice).toContain(`Set ${words}.`)
    const alarm = outOfMemory(large(), { step: 3, message: 'none left' })
    expect(alarm.advice).toContain('Set train.accumulate: 2 (the same batch in micro-batches of 8).')
    expect(() => checkMemory(large(), 100)).toThrow(/expected a smaller student/)
  })

  it('is limited by the setting, else by what the machine has left', () => {
    expect(memoryLimit(1.5)).toBe(1536)
    expect(memoryLimit(0.2)).toBe(205)
    expect(memoryLimit(0)).toBeGreaterThan(100)
  })
})
