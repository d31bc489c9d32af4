import type { RunConfig } from './run'
import { writes } from './source'

/**
 * Whether the batches of a run are drawn among segments: where a corpus has an index and nobody needs the whole text, as
 * teachers of other tokenizers and a student that writes do. It follows from what is recorded of a run alone, so that a
 * resumed one draws as it began.
 */
export function drawsSegments({
  corpora,
  foreign,
  experiment,
}: Pick<RunConfig, 'corpora' | 'foreign' | 'experiment'>): boolean {
  return corpora.some(({ row }) => row.index) && !foreign?.length && !writes(experiment.train)
}
