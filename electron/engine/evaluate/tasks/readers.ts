import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { badInput, parse, type TaskFormat } from '#contract'
import { parseJson } from '../../../files'
import type { Entity, TaskExample } from './example'

/**
 * Reads a file of task examples. A byte-order mark and Windows line ends are accepted.
 *
 * @throws bad-input naming file and line, and what was expected there; also for a file without an example
 */
export function readTask(format: TaskFormat, file: string): TaskExample[] {
  if (!existsSync(file))
    throw badInput('there is no such file', { file, expected: `examples in ${format} form` })
  const text = decode(readFileSync(file), file)
    .replace(/^\ufeff/, '')
    .replaceAll('\r\n', '\n')
  const examples = READERS[format](text, file)
  if (!examples.length)
    throw badInput('the file has no example', { file, expected: `examples in ${format} form` })
  return examples
}

const READERS: Record<TaskFormat, (text: string, file: string) => TaskExample[]> = {
  sst2,
  mrpc,
  conll,
  squad,
  summarization,
  'text-to-text': textToText,
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw badInput('the file is not UTF-8', { file, expected: 'UTF-8 text' })
  }
}

/** Numbered lines that are not blank. */
function linesOf(text: string): { line: string; number: number }[] {
  return text
    .split('\n')
    .map((line, i) => ({ line, number: i + 1 }))
    .filter(({ line }) => line.trim())
}

const at = (file: string, number: number) => `${file}:${number}`

/** SST-2: `sentence TAB label`, label 0 (negative) or 1 (positive); GLUE's header line may come first. */
function sst2(text: string, file: string): TaskExample[] {
  return linesOf(text)
    .filter(({ line, number }) => number > 1 || line !== 'sentence\tlabel')
    .map(({ line, number }) => {
      const [sentence, label, ...more] = line.split('\t')
      if (!sentence || more.length || (label !== '0' && label !== '1')) {
        throw badInput('not an example', { file: at(file, number), expected: 'sentence TAB 0 or 1' })
      }
      return {
        kind: 'choice',
        prompt: `Review: ${sentence.trim()}\nSentiment:`,
        choices: ['negative', 'positive'],
        answer: Number(label),
      }
    })
}

/** MRPC: a header, then `label TAB id TAB id TAB sentence TAB sentence`; quotes are text. */
function mrpc(text: string, file: string): TaskExample[] {
  const [header, ...rows] = linesOf(text)
  if (header && header.line.split('\t').length !== 5) {
    throw badInput('not the header of MRPC', { file: at(file, header.number), expected: 'five columns' })
  }
  return rows.map(({ line, number }) => {
    const [label, , , first, second, ...more] = line.split('\t')
    if (!first || !second || more.length || (label !== '0' && label !== '1')) {
      const expected = '0 or 1, two ids and two sentences, separated by TAB'
      throw badInput('not an example', { file: at(file, number), expected })
    }
    return {
      kind: 'choice',
      prompt: `First: ${first}\nSecond: ${second}\nSame meaning:`,
      choices: ['no', 'yes'],
      answer: Number(label),
    }
  })
}

/** CoNLL: a token a line, its BIO tag in the last column, blank lines between sentences. */
function conll(text: string, file: string): TaskExample[] {
  const examples: TaskExample[] = []
  let tokens: string[] = []
  let tags: string[] = []
  const finish = () => {
    if (tokens.length) {
      const prompt = `Text: ${tokens.join(' ')}\nEntities:`
      examples.push({ kind: 'entities', prompt, tokens, entities: toEntities(tags) })
    }
    tokens = []
    tags = []
  }
  for (const [i, line] of text.split('\n').entries()) {
    const columns = line.trim().split(/[\t ]+/)
    if (!columns[0] || columns[0] === '-DOCSTART-') finish()
    else {
      const tag = columns.at(-1)!
      if (columns.length < 2 || !/^(O|[BI]-\S+)$/.test(tag)) {
        const expected = 'a token and its tag: O, B-type or I-type'
        throw badInput('not a token with its tag', { file: at(file, i + 1), expected })
      }
      tokens.push(columns[0])
      tags.push(tag)
    }
  }
  finish()
  return examples
}

/** An I- tag without its beginning starts an entity, as in the older IOB1 form. */
function toEntities(tags: readonly string[]): Entity[] {
  const entities: Entity[] = []
  for (const [i, tag] of tags.entries()) {
    if (tag === 'O') continue
    const type = tag.slice(2)
    const last = entities.at(-1)
    if (tag.startsWith('I-') && last?.end === i && last.type === type) last.end = i + 1
    else entities.push({ start: i, end: i + 1, type })
  }
  return entities
}

const squadFile = z.object({
  data: z.array(
    z.object({
      paragraphs: z.array(
        z.object({
          context: z.string(),
          qas: z.array(
            z.object({ question: z.string(), answers: z.array(z.object({ text: z.string() })).default([]) }),
          ),
        }),
      ),
    }),
  ),
})

/** SQuAD (1.1, or 2.0 without the questions that have no answer). */
function squad(text: string, file: string): TaskExample[] {
  const json = parseJson(text, file)
  return parse(squadFile, json, file).data.flatMap(({ paragraphs }) =>
    paragraphs.flatMap(({ context, qas }) =>
      qas
        .filter(({ answers }) => answers.length)
        .map(({ question, answers }) => ({
          kind: 'answer' as const,
          prompt: `Context: ${context}\nQuestion: ${question}\nAnswer:`,
          answers: answers.map((answer) => answer.text),
        })),
    ),
  )
}

/** Parses each line that is not blank; errors name the line. */
export function parseJsonLines<S extends z.ZodType>(schema: S, text: string, file: string): z.output<S>[] {
  return linesOf(text).map(({ line, number }) => {
    let json: unknown
    try {
      json = JSON.parse(line)
    } catch {
      throw badInput('the line is not JSON', { file: at(file, number), expected: 'one JSON object a line' })
    }
    return parse(schema, json, at(file, number))
  })
}

const filled = z.string().refine((text) => text.trim(), 'the text is empty')

/** JSON lines with `document` and `summary`. */
function summarization(text: string, file: string): TaskExample[] {
  return parseJsonLines(z.object({ document: filled, summary: filled }), text, file).map(
    ({ document, summary }) => ({
      kind: 'summary',
      prompt: `Document: ${document}\nSummary:`,
      summary,
    }),
  )
}

const textToTextLine = z
  .object({ prompt: filled, target: filled, choices: z.array(filled).min(2).optional() })
  .refine(
    ({ choices, target }) => !choices || choices.includes(target),
    'the target is not among the choices',
  )

/** JSON lines with `prompt` and `target`, and `choices` where the answer is one of them. */
function textToText(text: string, file: string): TaskExample[] {
  return parseJsonLines(textToTextLine, text, file).map(({ prompt, target, choices }) =>
    choices
      ? { kind: 'choice', prompt, choices, answer: choices.indexOf(target) }
      : { kind: 'answer', prompt, answers: [target] },
  )
}
