import { numberOf } from '#contract'
import { ascending } from '../comparison'
import type { ReportedRun, Table } from './content'

/** Figures of arXiv 2507.15198, Table 1 and text: five teachers, C4 English subset. */
const PAPER = { perplexity: 20.8, distillationLoss: 1.64, bleu: 86.7 }

/** The paper's figures beside the best run's: reference, not a target. */
export function paperTable(runs: readonly ReportedRun[]): Table[] {
  const scored = runs.filter(
    ({ row }) => row.teachers.length + row.foreign.length && row.evaluation?.perplexity != null,
  )
  if (!scored.length) return []
  const perplexity = ({ row }: ReportedRun) => numberOf(row.evaluation!.perplexity)
  const best = scored.reduce((a, b) => (ascending(perplexity(b), perplexity(a)) < 0 ? b : a))
  const { evaluation } = best.row
  return [
    {
      title: 'The paper’s figures, for reference',
      note: 'Paper: other data, other models and another tokenizer (C4 English subset, five teachers; it gives no model sizes, hyper-parameters or BLEU protocol). Perplexities per token of different tokenizers do not compare.',
      columns: [{ title: 'Perplexity' }, { title: 'Distillation loss' }, { title: 'BLEU' }],
      rows: [
        { head: 'paper, other data', cells: [PAPER.perplexity, PAPER.distillationLoss, PAPER.bleu] },
        {
          head: `here, ${best.row.name}`,
          cells: [evaluation!.perplexity, evaluation!.distillationLoss ?? null, evaluation!.bleu ?? null],
        },
      ],
    },
  ]
}
