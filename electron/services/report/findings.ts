import { mean, numberOf, type Corpus, type ModelScore, type Run } from '#contract'
import { ascending, judge, type Method } from '../comparison'
import { show, teachersOf, type ReportedRun } from './content'
import { sayVerdict } from './methods'

/** What the numbers say, in sentences. A difference inside its interval is called no difference. */
export function findings(
  runs: readonly ReportedRun[],
  methods: readonly Method<ReportedRun>[],
  corpora: readonly Corpus[],
  { scores }: { scores: readonly ModelScore[] },
): string[] {
  const scored = methods.filter(({ runs }) => runs.some(({ row }) => row.evaluation?.perplexity != null))
  const missing = runs.filter(({ row }) => row.evaluation?.perplexity == null).map(({ row }) => row.name)
  return [
    ...(missing.length
      ? [`Without a held-out evaluation, and so left out of every ranking: ${missing.join(', ')}.`]
      : []),
    ...rank(scored, corpora),
    ...specialists(runs, corpora, scores),
  ]
}

function rank(methods: readonly Method<ReportedRun>[], corpora: readonly Corpus[]): string[] {
  if (methods.length < 2) return []
  const sorted = [...methods].sort((a, b) => ascending(meanPerplexity(a), meanPerplexity(b)))
  const [best, second] = [sorted[0]!, sorted[1]!]
  const sentences = [
    `Lowest held-out perplexity: ${best.label} with ${show(meanPerplexity(best))}, before ${second.label} with ${show(meanPerplexity(second))}.`,
    ...claims(methods, corpora),
  ]
  const seeds = new Set(methods.flatMap(({ runs }) => runs.map(({ row }) => row.seed)))
  if (seeds.size === 1) {
    sentences.push(
      'One seed a row: the intervals speak of other held-out documents, not of other seeds; a small difference may be chance.',
    )
  }
  return sentences
}

/** The paper's claims about the proposed method against each baseline that is there, one family of tests. */
function claims(methods: readonly Method<ReportedRun>[], corpora: readonly Corpus[]): string[] {
  // Of two of a kind it is not said which one is meant.
  const of = (method: Run['method']) => {
    const found = methods.filter(({ runs }) => runs[0]!.row.method === method)
    return found.length === 1 ? found[0] : undefined
  }
  const proposed = of('entropy')
  const against: [Run['method'], string][] = [
    ['cross-entropy', 'training without teachers'],
    ['uniform', 'uniform weights'],
    ['single-teacher', 'a single teacher'],
  ]
  const pairs = against.flatMap(([method, words]) => {
    const other = of(method)
    return proposed && other ? [{ proposed, other, words }] : []
  })
  const verdicts = judge(pairs.map(({ proposed, other }) => [proposed, other] as const))
  return pairs.map(({ proposed, other, words }) => {
    const claim = `The claim that entropy-weighted distillation beats ${words}`
    const verdict = verdicts.find((v) => v.first === proposed.label && v.second === other.label)
    const [a, b] = [meanPerplexity(proposed), meanPerplexity(other)]
    const outcome =
      verdict && !verdict.real
        ? 'is not decided here'
        : ascending(a, b) < 0
          ? 'holds here'
          : 'does not hold here'
    const lower = ({ id }: Corpus) => ascending(onCorpus(proposed, id), onCorpus(other, id)) < 0
    const won = corpora.filter(lower).map(({ name }) => name)
    const lost = corpora.filter((corpus) => !lower(corpus)).map(({ name }) => name)
    const where = corpora.length > 1 ? ` It is lower on ${list(won)} and higher on ${list(lost)}.` : ''
    return `${claim} ${outcome}: perplexity ${show(a)} against ${show(b)}.${verdict ? ` ${sayVerdict(verdict)}` : ''}${where}`
  })
}

function meanPerplexity({ runs }: Method<ReportedRun>): number {
  return mean(runs.flatMap(({ row }) => row.evaluation?.perplexity ?? []).map(numberOf))
}

function onCorpus({ runs }: Method<ReportedRun>, id: string): number {
  const scores = runs.flatMap(({ row }) => row.evaluation?.corpora.find(({ corpus }) => corpus === id) ?? [])
  return mean(scores.map(({ perplexity }) => numberOf(perplexity)))
}

function specialists(
  runs: readonly ReportedRun[],
  corpora: readonly Corpus[],
  scores: readonly ModelScore[],
): string[] {
  const teachers = teachersOf(runs)
  if (teachers.length < 2) return []
  const sentences: string[] = []
  for (const corpus of corpora) {
    const own = teachers.flatMap(({ id, name }) => {
      const score = scores.find((s) => s.model === id && s.corpus === corpus.id)
      return score ? [{ name, perplexity: score.perplexity }] : []
    })
    if (own.length < 2) continue
    own.sort((a, b) => ascending(numberOf(a.perplexity), numberOf(b.perplexity)))
    sentences.push(`${own[0]!.name} (${show(own[0]!.perplexity)}) on ${corpus.name}`)
  }
  return sentences.length ? [`The best teacher by corpus, with its perplexity: ${sentences.join(', ')}.`] : []
}

function list(names: readonly string[]): string {
  return names.length ? names.join(', ') : 'none'
}
