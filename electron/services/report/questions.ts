import { judge, type Method, type Verdict } from '../comparison'
import { sayVerdict } from './methods'

/** What a study asks: pairs of methods by label, the one that should be better first. */
export interface Question {
  ask: string
  compare: readonly (readonly [string, string])[]
}

export interface Answer {
  ask: string
  verdicts: Verdict[]
  /** The answer in words, whatever it is. */
  text: string
}

/** Answers every question of a study; all their pairs are one family of tests. */
export function answerQuestions(questions: readonly Question[], methods: readonly Method[]): Answer[] {
  const byLabel = (label: string) => methods.find((method) => method.label === label)
  const pairs = questions.flatMap(({ compare }) =>
    compare.flatMap(([first, second]) => {
      const [a, b] = [byLabel(first), byLabel(second)]
      return a && b ? [[a, b] as const] : []
    }),
  )
  const verdicts = judge(pairs)
  return questions.map(({ ask, compare }) => {
    const own = compare.flatMap(([first, second]) =>
      verdicts.filter((v) => v.first === first && v.second === second),
    )
    return { ask, verdicts: own, text: `${ask} ${summarise(own, compare.length)}` }
  })
}

function summarise(verdicts: readonly Verdict[], asked: number): string {
  if (!verdicts.length) return 'Not answered: the runs it needs have not completed.'
  const better = verdicts.filter(({ real, difference }) => real && difference.value < 0).length
  const worse = verdicts.filter(({ real, difference }) => real && difference.value > 0).length
  const none = verdicts.length - better - worse
  const missing =
    asked > verdicts.length ? ` ${asked - verdicts.length} of ${asked} comparisons are missing.` : ''
  const sentences = verdicts.map(sayVerdict).join(' ')
  if (verdicts.length === 1)
    return `${better ? 'Yes.' : worse ? 'No, the contrary.' : 'No difference.'} ${sentences}${missing}`
  const count = `Of ${verdicts.length} comparisons, ${better} better, ${worse} worse, ${none} no difference.`
  return `${better === verdicts.length ? 'Yes, in each comparison. ' : ''}${count} ${sentences}${missing}`
}
