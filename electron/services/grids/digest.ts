import { isRecord, readDigest, type RunConfig, type RunTeacher } from '#contract'
import { sha256 } from '../../files'

/**
 * What a run computes, as one digest: the resolved configuration without names, ids and times; corpora, tokenizer and
 * teachers by their content. Runs that agree in it have the same metrics, so that one serves them all.
 */
export function configDigest(config: RunConfig): string {
  const {
    name: _,
    corpus: _corpus,
    tokenizer: _tokenizer,
    teachers: _teachers,
    ...settings
  } = config.experiment
  return sha256(
    canonical({
      settings,
      student: config.student,
      corpora: config.corpora.map((corpus) => ({ weight: corpus.weight, digest: readDigest(corpus) })),
      tokenizer: config.tokenizer.digest,
      teachers: config.teachers.map(contentOf),
      ...(config.foreign && {
        foreign: config.foreign.map(({ row, tokenizer, place }) => ({
          teacher: contentOf(row),
          tokenizer: tokenizer.digest,
          place,
        })),
      }),
    }),
  )
}

/** What of a teacher decides what it says. */
function contentOf({
  id: _id,
  name: _name,
  source: _source,
  tokenizer: _t,
  run: _run,
  perplexity: _p,
  createdAt: _c,
  calibrations: _k,
  int8: _cost,
  ...content
}: RunTeacher) {
  return content
}

/** JSON with the keys of every object in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isRecord(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  )
}
