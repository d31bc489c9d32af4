import {
  learnsFromTeachers,
  mostTokens,
  type Estimate,
  type Run,
  type RunConfig,
  type RunTeacher,
} from '#contract'
import { CALIBRATION_TOKENS } from '../../files'

type Asked = Pick<Estimate, 'askedTokens' | 'askedSeconds' | 'askedCost' | 'askedBound'>

/**
 * What a run asks of servers, had it asked nothing before: of every sequence that they read one token more than it has,
 * one server after the other.
 */
export function askedOf(config: RunConfig, measured: readonly { row: Run }[]): Asked {
  const servers = config.teachers.flatMap((row) =>
    row.model.family === 'served' ? { row, model: row.model } : [],
  )
  if (!servers.length) return {}
  const { context } = config.experiment.train
  const sequences = sequencesOf(config)
  const tokens = sequences * (context + 1)
  const times = servers.map(({ row, model: { limits } }) => {
    const rate = speedOf(row, measured)
    const least = limits.perMinute ? (60 * sequences) / limits.perMinute : 0
    return rate === undefined ? undefined : Math.max(least, tokens / rate)
  })
  const costs = servers.flatMap(({ model: { limits } }) =>
    limits.price ? (tokens * limits.price) / 1e6 : [],
  )
  const bound = servers.find(({ model: { limits } }) => tokens > mostTokens(limits))
  return {
    askedTokens: servers.length * tokens,
    ...(times.every((time) => time !== undefined) && { askedSeconds: sum(times) }),
    ...(costs.length && { askedCost: sum(costs) }),
    ...(bound && {
      askedBound: `"${bound.row.name}" may be asked for ${mostTokens(bound.model.limits)} tokens a run: where more are missing, the run stops there and can be resumed`,
    }),
  }
}

function sequencesOf({ experiment, corpora }: RunConfig): number {
  const { train, evaluate } = experiment
  const { batch, context, steps } = train
  // Windows overlap by half, and their last batch is filled up.
  const windows = (tokens: number) => batch * Math.ceil(tokens / (batch * Math.ceil(context / 2)))
  const learning = learnsFromTeachers(experiment) ? steps * batch + windows(CALIBRATION_TOKENS) : 0
  return learning + corpora.length * windows(evaluate.tokens)
}

/** Tokens a second: in the last run that asked it, else at its import. */
function speedOf(row: RunTeacher, measured: readonly { row: Run }[]): number | undefined {
  const rates = measured.flatMap(({ row: { servers = [], teachers } }) =>
    teachers.some(({ id }) => id === row.id)
      ? servers.flatMap(({ teacher, answers, tokensPerSecond }) =>
          teacher === row.name && answers ? tokensPerSecond : [],
        )
      : [],
  )
  return rates.at(-1) ?? row.check?.served?.tokensPerSecond
}

const sum = (values: readonly number[]) => values.reduce((all, one) => all + one, 0)
