import { resolve } from 'node:path'
import { InvalidArgumentError, type Command } from 'commander'
import { badInput, taskFormats, type Measured, type ModelScore, type TaskFormat } from '#contract'
import { find } from '../../services/identity'
import { show } from '../../services/report'
import { backendOption, positiveInteger, wholeNumber } from './arguments'
import { followTask } from './handOver'
import { controlOf, perform, type GlobalOptions, type Outcome, type Remote, type Session } from './session'

interface EvaluateOptions {
  corpus?: string
  text?: string
  tokens: number
  prompts: number
  continuations?: string
  tasks: { format: TaskFormat; path: string }[]
  examples: number
}

/** The templates of `engine/evaluate/tasks`. */
const TASKS = `
Tasks are text to text: the model is given the prompt and a space; it chooses the likeliest answer, or writes one line.
  sst2           Review: SENTENCE / Sentiment:              negative, positive
  mrpc           First: SENTENCE / Second: SENTENCE / Same meaning:  no, yes
  conll          Text: TOKENS / Entities:                   New York (LOC); Ada (PER), or: none
  squad          Context: TEXT / Question: TEXT / Answer:   the answer
  summarization  Document: TEXT / Summary:                  the summary; JSON lines with document and summary
  text-to-text   the prompt as it is                        JSON lines with prompt, target and, to choose from, choices
( / is a line end)`

export function evaluateCommand(program: Command): void {
  program
    .command('evaluate')
    .description('metrics of a run or a teacher: on held-out text, continuations and tasks')
    .argument('<model>', 'run or teacher')
    .option('--corpus <corpus>', 'its held-out split')
    .option('--text <file>', 'score this file whole instead')
    .option('--tokens <n>', 'held-out tokens to score', positiveInteger, 20000)
    .option('--prompts <n>', 'prompts to continue for BLEU and ROUGE-L; 0: none', wholeNumber, 20)
    .option('--continuations <file>', 'prompts from JSON lines with prefix and gold_completion')
    .option('--tasks <format=path,...>', `tasks to do: ${taskFormats.join(', ')}`, taskList, [])
    .option('--examples <n>', 'examples of a task to score, spread over its file', positiveInteger, 200)
    .addOption(backendOption())
    .addHelpText('after', TASKS)
    .action(async (model: string, own: EvaluateOptions, command: Command) => {
      const access = own.corpus ? 'write' : 'read'
      const { corpus, text, tokens, tasks, examples } = own
      const continuations = own.continuations && resolve(own.continuations)
      // A text that is scored whole has nothing held out to continue.
      const prompts = text === undefined || continuations ? own.prompts : 0
      const options = { tokens, prompts, continuations, tasks, examples }
      const scoreHere = async (session: Session) => {
        if ((corpus === undefined) === (text === undefined)) {
          throw badInput('what should be scored?', { expected: 'either --corpus or --text' })
        }
        const { models } = session.rooms
        const control = controlOf(session)
        return outcome(
          text === undefined
            ? (await models.evaluate([model], [corpus!], { ...options, control }))[0]!
            : await models.scoreText(model, resolve(text), { ...options, control }),
        )
      }
      // What nobody keeps is scored here, whoever has the data directory.
      const scoreThere = async (remote: Remote) => {
        const { call } = remote.host
        const id = await followTask(remote, () =>
          call('models.evaluate', { model, corpus: corpus!, ...options }),
        )
        const row = find('corpus', await call('corpora.list', {}), corpus!)
        const scores = await call('models.scores', {})
        return outcome(scores.find((score) => score.model === id && score.corpus === row.id)!)
      }
      const keeps = corpus !== undefined && text === undefined
      await perform(
        command.optsWithGlobals<GlobalOptions>(),
        access,
        scoreHere,
        keeps ? scoreThere : undefined,
      )
    })
}

const outcome = (score: ModelScore): Outcome => ({ json: toJson(score), text: toText(score) })

/** The metrics flat, tasks by name. */
function toJson({ model: _, corpus: __, bins: ___, tasks, ...metrics }: ModelScore): Record<string, unknown> {
  const byName = tasks?.map((score) => [score.task, { examples: score.examples, ...score.metrics }] as const)
  return { ...metrics, ...(byName && { tasks: Object.fromEntries(byName) }) }
}

function toText(score: ModelScore): string {
  const s = (value: Measured | undefined) => show(value ?? null)
  const lines = [
    `perplexity ${s(score.perplexity)}, ${s(score.bitsPerByte)} bits per byte, cross-entropy ${s(score.crossEntropy)} nats per token over ${score.tokens} tokens (windows of ${s(score.context)}, stride ${s(score.stride)})`,
    `top-1 accuracy ${s(score.accuracy)}, expected calibration error ${s(score.ece)}, Brier score ${s(score.brier)}`,
  ]
  if (score.prompts) {
    lines.push(
      `${score.prompts} greedy continuations: BLEU ${s(score.bleu)}, ROUGE-L ${s(score.rougeL)}, ${s(score.tokensPerSecond)} tokens/s`,
    )
  }
  for (const { task, examples, metrics } of score.tasks ?? []) {
    const named = Object.entries(metrics).map(([name, value]) => `${name} ${s(value)}`)
    lines.push(`${task}, ${examples} examples: ${named.join(', ')}`)
  }
  return lines.join('\n')
}

function taskList(text: string): EvaluateOptions['tasks'] {
  return text.split(',').map((part) => {
    const at = part.indexOf('=')
    const format = taskFormats.find((name) => name === part.slice(0, at))
    if (!format || at === part.length - 1)
      throw new InvalidArgumentError(`expected format=path, format one of ${taskFormats.join(', ')}`)
    return { format, path: resolve(part.slice(at + 1)) }
  })
}
