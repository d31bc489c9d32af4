import { alignableLayers, hiddenWidth, learnsFromTeachers, loraScale, type RunConfig } from '#contract'
import { tf } from '../backend/tf'
import { betas, layerPairs, projectionName, type LayerPair } from '../distill/features'
import type { Alignment } from '../distill/objective'
import { initialAdapters, LORA_SCALE } from '../model/lora'
import { initialise, toTensors, type Weights } from '../model/weights'
import { createRandom } from '../random'
import type { TrainingState } from './checkpoint'
import { LossScale } from './lossScale'
import { AdamW } from './adamw'

/**
 * What is learned in a run: the student's weights, or the adapters beside them, the maps W_k of feature alignment, and
 * AdamW's moments of both, as tfjs variables.
 */
export class Student {
  /** What a forward pass reads. With adapters: the frozen weights, the adapters, and their scale. */
  readonly weights: Map<string, tf.Tensor>
  /** Of them those that are trained. */
  private readonly trained: Map<string, tf.Variable>
  readonly projections: Map<string, tf.Variable>
  readonly optimizer: AdamW
  /** Of training in half precision. */
  readonly lossScale: LossScale | undefined
  private readonly alignment: { beta: number | 'alpha'; pairs: LayerPair[] }[]

  /**
   * @param state what a checkpoint kept; without it everything is initialised from the experiment's seed
   * @param initial first weights in place of the seed's
   */
  constructor(
    private readonly config: RunConfig,
    state?: TrainingState,
    initial?: Weights,
  ) {
    this.alignment = alignmentOf(config)
    const { seed } = config.experiment
    const { lora } = config.experiment.student
    const first = () => initial ?? initialise(config.student, seed)
    this.trained = toVariables(
      state?.weights ?? (lora ? initialAdapters(config.student, lora, seed) : first()),
    )
    this.weights = new Map<string, tf.Tensor>(this.trained)
    if (lora) {
      for (const [name, tensor] of toTensors(first())) this.weights.set(name, tensor)
      this.weights.set(LORA_SCALE, tf.keep(tf.scalar(loraScale(lora))))
    }
    this.projections = toVariables(state?.projections ?? initialProjections(config, this.alignment))
    this.optimizer = new AdamW(this.parameters(), config.experiment.train)
    if (config.experiment.train.precision === 'f16') this.lossScale = new LossScale(state?.lossScale)
    if (state) restore(this.optimizer.state(), state.moments)
  }

  parameters(): Map<string, tf.Variable> {
    return new Map([...this.trained, ...this.projections])
  }

  /** Per teacher what its feature loss needs; empty when features are off. */
  alignments(): Alignment[] {
    return this.alignment.map(({ beta, pairs }, k) => ({
      beta,
      pairs,
      projections: pairs.map((_, i) => this.projections.get(projectionName(k, i)) as unknown as tf.Tensor2D),
    }))
  }

  /** The arrays are those that the next step changes: they are to be written or copied before it. */
  async state(): Promise<TrainingState> {
    return {
      weights: await toWeights(this.trained),
      moments: await toWeights(this.optimizer.state()),
      projections: await toWeights(this.projections),
      ...(this.lossScale && { lossScale: this.lossScale.state }),
    }
  }

  dispose(): void {
    this.optimizer.dispose()
    for (const tensor of [...this.weights.values(), ...this.projections.values()]) tensor.dispose()
  }
}

function alignmentOf({
  experiment,
  student,
  teachers,
}: RunConfig): { beta: number | 'alpha'; pairs: LayerPair[] }[] {
  const { features } = experiment.loss
  if (features === false || features.gamma === 0 || !learnsFromTeachers(experiment)) return []
  const beta = betas(features.beta, teachers.length)
  return teachers.map((row, k) => ({
    beta: beta[k]!,
    pairs: layerPairs(features, student, alignableLayers(row, features)),
  }))
}

/** W_k [teacher width, student width], normal with variance 1 / student width. */
function initialProjections(config: RunConfig, alignment: { pairs: LayerPair[] }[]): Weights {
  const weights: Weights = new Map()
  const { width } = config.student
  for (const [k, { pairs }] of alignment.entries()) {
    for (const i of pairs.keys()) {
      const name = projectionName(k, i)
      const random = createRandom(config.experiment.seed, `initialise/${name}`)
      const shape = [hiddenWidth(config.teachers[k]!.model), width]
      const data = Float32Array.from({ length: shape[0]! * width }, () => random.normal() / Math.sqrt(width))
      weights.set(name, { shape, data })
    }
  }
  return weights
}

/** In the order of their names, wherever they come from: sums over all parameters are then rounded alike. */
function toVariables(weights: Weights): Map<string, tf.Variable> {
  const variables = new Map<string, tf.Variable>()
  for (const [name, { shape, data }] of [...weights].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const initial = tf.tensor(data, shape)
    variables.set(name, tf.variable(initial))
    initial.dispose()
  }
  return variables
}

function restore(variables: Map<string, tf.Variable>, weights: Weights): void {
  for (const [name, variable] of variables) {
    const { shape, data } = weights.get(name)!
    const value = tf.tensor(data, shape)
    variable.assign(value)
    value.dispose()
  }
}

async function toWeights(variables: ReadonlyMap<string, tf.Variable>): Promise<Weights> {
  const weights: Weights = new Map()
  for (const [name, variable] of variables) {
    weights.set(name, { shape: variable.shape, data: (await variable.data()) as Float32Array })
  }
  return weights
}
