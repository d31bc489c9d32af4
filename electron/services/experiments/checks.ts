import {
  alignableLayers,
  badInput,
  hasLayers,
  namesOf,
  routedTeachers,
  type Experiment,
  type RunConfig,
  type Teacher,
} from '#contract'

/** What settings, teachers and corpora ask of each other: each refuses in one line what does not go together. */

/**
 * Draws leave most tokens at probability 0: what divides by it, or takes its logarithm, has no meaning then, and the
 * mixtures of JSD and the skewed objectives, which are not linear in it, are not what they estimate.
 *
 * @throws bad-input naming the setting that goes with draws no more
 */
export function checkSampling(
  { cache, weighting: { fusion, strategy }, loss: { conflict, objective } }: Experiment,
  file?: string,
): void {
  if (cache.mode !== 'sample') return
  const wrong =
    fusion === 'geometric'
      ? 'weighting.fusion'
      : strategy === 'kl-to-consensus'
        ? 'weighting.strategy'
        : conflict !== 'none'
          ? 'loss.conflict'
          : !['forward-kl', 'top-k'].includes(objective)
            ? 'loss.objective'
            : undefined
  if (!wrong) return
  throw badInput(`sampled teacher outputs cannot go with ${wrong} as it is`, {
    file,
    field: 'cache.mode',
    expected: 'exact or top-k',
  })
}

/** @throws bad-input when features are to be aligned with a teacher that does not show them */
export function checkFeatures({ loss }: Experiment, teachers: readonly Teacher[], file?: string): void {
  if (loss.features === false || loss.features.gamma === 0) return
  for (const teacher of teachers) alignableLayers(teacher, loss.features, file)
}

/** @throws bad-input when a teacher behind a server would have to be fitted: of most tokens it says nothing */
export function checkServed({ weighting }: Experiment, teachers: readonly Teacher[], file?: string): void {
  const served = teachers.find(({ model }) => model.family === 'served')
  if (!served || weighting.strategy !== 'calibrated-entropy') return
  throw badInput(`teacher "${served.name}" is behind a server, whose temperature cannot be fitted`, {
    file,
    field: 'weighting.strategy',
    expected: 'entropy, or another one',
  })
}

/** @throws bad-input when a teacher of another tokenizer would have to read packed documents, which lie otherwise in its tokens */
export function checkForeignReading(
  corpora: RunConfig['corpora'],
  foreign: NonNullable<RunConfig['foreign']>,
  file?: string,
): void {
  const packed = corpora.findIndex(({ reading }) => reading?.packing === 'packed')
  if (packed < 0 || !foreign.length) return
  throw badInput(`teacher "${foreign[0]!.row.name}" has another tokenizer and reads a document a sequence`, {
    file,
    field: `corpus.${packed}.packing`,
    expected: 'documents or windows',
  })
}

/** @throws bad-input when a teacher cannot keep examples apart that share a sequence: it reads all that comes before */
export function checkPackedReading(
  corpora: RunConfig['corpora'],
  teachers: readonly Teacher[],
  file?: string,
): void {
  const at = corpora.findIndex(({ reading }) => reading?.packing === 'packed')
  const other = teachers.find(({ model }) => !hasLayers(model))
  if (at < 0 || !other) return
  const what = other.model.family === 'served' ? 'is behind a server' : 'is an ONNX file'
  throw badInput(`teacher "${other.name}" ${what}, which cannot keep packed documents apart`, {
    file,
    field: `corpus.${at}.packing`,
    expected: 'documents',
  })
}

/** @throws bad-input when there is not a weight for each teacher */
export function checkFixedWeights({ weighting, teachers }: Experiment, file: string | undefined): void {
  const { strategy, weights } = weighting
  if (strategy !== 'fixed' || weights?.length === teachers.length) return
  throw badInput(`${weights?.length ?? 0} weights for ${teachers.length} teachers`, {
    file,
    field: 'weighting.weights',
    expected: 'a number for each teacher',
  })
}

/** @throws bad-input when a corpus has no teacher, or a route leads from or to what is not there */
export function checkRoutes(definition: Experiment, file: string | undefined): void {
  const { weighting, corpus, loss } = definition
  if (weighting.strategy !== 'routed') return
  const teachers = namesOf(definition.teachers)
  const refuse = (field: string, what: string, expected: string) => badInput(what, { file, field, expected })
  const one = (names: readonly string[]) => names.join(' or ') || 'teachers'
  const names = corpus.map(({ name }) => name)
  for (const [from, to] of Object.entries(weighting.routes ?? {})) {
    const field = `weighting.routes.${from}`
    if (!names.includes(from)) throw refuse(field, `no corpus "${from}" in this experiment`, one(names))
    if (!teachers.includes(to)) throw refuse(field, `no teacher "${to}" in this experiment`, one(teachers))
  }
  const missing = names[routedTeachers(definition).indexOf(-1)]
  if (missing !== undefined)
    throw refuse(
      'weighting.routes',
      `corpus "${missing}" is routed to no teacher`,
      `${missing}: ${one(teachers)}`,
    )
  if (loss.conflict !== 'none')
    throw refuse('loss.conflict', 'of routed teachers one speaks at a time, so that none disagree', 'none')
}
