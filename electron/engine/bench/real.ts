import { numberOf, parameterCount, type ModelConfig, type RunConfig } from '#contract'
import { createTables } from '../model/forward'
import { createRandom } from '../random'
import { TrainingStep } from '../train/step'
import { Student } from '../train/student'
import { benchConfig, liveTeacher } from './config'
import type { Precision } from './reference'

/** Sizes that researchers use: live teachers, no features, KL at tau 2 and cross-entropy. */
export const REAL = {
  real: {
    vocab: 50280,
    batch: 8,
    time: 128,
    teacher: { width: 576, layers: 30, heads: 9, kvHeads: 3, hidden: 1536 },
    student: { width: 384, layers: 6, heads: 6, kvHeads: 2, hidden: 1024 },
  },
  small: {
    vocab: 512,
    batch: 2,
    time: 16,
    teacher: { width: 64, layers: 2, heads: 4, kvHeads: 2, hidden: 128 },
    student: { width: 32, layers: 2, heads: 2, kvHeads: 1, hidden: 64 },
  },
} as const

/** The whole step of a run, its teachers asked each time. */
export class RealStep {
  readonly config: RunConfig
  private readonly step: TrainingStep

  /** @param count teachers, all of one size */
  constructor(
    private readonly name: keyof typeof REAL,
    count = 1,
    precision: Precision = 'f32',
  ) {
    const { vocab, batch, time, teacher, student } = REAL[name]
    const common = {
      family: 'llama',
      vocab,
      context: 256,
      tied: true,
      ropeBase: 10000,
      normEpsilon: 1e-5,
    } as const
    const models = Array.from({ length: count }, () => ({ ...common, ...teacher }))
    this.config = benchConfig({ ...common, ...student }, models, {
      loss: { lambda: 0.7, tau: 2, features: false },
      train: { steps: 1000, batch, context: time, warmup: 1, learningRate: 1e-3, precision },
    })
    const teachers = this.config.teachers.map((row, k) => liveTeacher(row, k, time))
    const tables = createTables(this.config.student, time)
    this.step = new TrainingStep(this.config, new Student(this.config), tables, teachers)
  }

  get tokens(): number {
    return REAL[this.name].batch * REAL[this.name].time
  }

  /** Of the student. */
  get parameters(): number {
    return parameterCount(this.config.student)
  }

  /** Of a step: two a weight and token forward, twice that backward; teachers go forward only. */
  get flops(): number {
    const { time } = REAL[this.name]
    const forward = (model: ModelConfig) => 2 * parameterCount(model) + 4 * time * model.width * model.layers
    const teachers = this.config.teachers.map(({ model }) => forward(model as ModelConfig))
    return this.tokens * (3 * forward(this.config.student) + teachers.reduce((a, b) => a + b, 0))
  }

  /** Does step `i`, from 1, and resolves to its loss. */
  async run(i: number): Promise<number> {
    const random = createRandom(i, 'check-gpu')
    const draw = () => Int32Array.from({ length: this.tokens }, () => random.integer(REAL[this.name].vocab))
    return numberOf((await this.step.run(i, { inputs: draw(), targets: draw() })).loss)
  }
}
