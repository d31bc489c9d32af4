import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import {
  evaluationValues,
  isEvaluation,
  numberOf,
  parse,
  parseMetricsLine,
  runFiles,
  stepValues,
  type EvaluationRecord,
  type Measured,
} from '#contract'
import { eachJsonLine, isDiskFull, writeFileAtomic } from '../files'

/** One quantity over the steps at which it was measured. */
export interface Column {
  steps: Float64Array
  /** NaN and infinities as they were measured. */
  values: Float64Array
}

/** A run's metrics by the keys of its curves. */
export interface MetricColumns {
  columns: ReadonlyMap<string, Column>
  evaluations: EvaluationRecord[]
}

/**
 * All that a run has measured. Of a run that has ended the columns are kept in its folder, in a file that may be deleted:
 * fifty thousand steps are 20 MB of text and take a second to read.
 *
 * @param folder the run's
 * @param ended whether no more will be measured
 * @throws bad-input naming file and line of the first damaged line
 */
export async function readColumns(folder: string, ended: boolean): Promise<MetricColumns> {
  const metrics = join(folder, runFiles.metrics)
  if (!existsSync(metrics)) return { columns: new Map(), evaluations: [] }
  const kept = join(folder, runFiles.columns)
  const { size, mtimeMs } = statSync(metrics)
  const found = readKept(kept, { size, mtimeMs })
  if (found) return found
  const steps = new Table()
  const evaluations: EvaluationRecord[] = []
  await eachJsonLine(metrics, { parse: parseMetricsLine }, (record) => {
    if (isEvaluation(record)) evaluations.push(record)
    else steps.put(record.step, stepValues(record))
  })
  const columns = steps.columns()
  if (ended && size > WORTH_KEEPING) keep(kept, { size, mtimeMs }, columns, evaluations)
  return { columns: withHeldOut(columns, evaluations), evaluations }
}

/** Columns as they grow. */
class Table {
  private readonly known = new Map<string, { steps: number[]; values: number[] }>()

  put(step: number, values: Iterable<[key: string, value: Measured]>): void {
    for (const [key, value] of values) {
      let column = this.known.get(key)
      if (!column) this.known.set(key, (column = { steps: [], values: [] }))
      column.steps.push(step)
      column.values.push(numberOf(value))
    }
  }

  columns(): Map<string, Column> {
    return new Map(
      [...this.known].map(([key, { steps, values }]) => [
        key,
        { steps: Float64Array.from(steps), values: Float64Array.from(values) },
      ]),
    )
  }
}

function withHeldOut(steps: ReadonlyMap<string, Column>, evaluations: readonly EvaluationRecord[]) {
  const table = new Table()
  for (const record of evaluations) table.put(record.step, evaluationValues(record))
  return new Map([...steps, ...table.columns()])
}

/** Bytes of a log from which its columns are kept: a smaller one is read in a few milliseconds. */
const WORTH_KEEPING = 2 ** 18

/** The log that columns were read from. */
interface Source {
  size: number
  mtimeMs: number
}

/** Of the file's first line; behind it lie each column's steps and values, little-endian doubles, then the evaluations. */
const keptHeader = z.object({
  version: z.literal(1),
  size: z.number(),
  mtimeMs: z.number(),
  /** Of all that lies behind. */
  crc32: z.number(),
  columns: z.array(z.object({ key: z.string(), count: z.number().int().nonnegative() })),
})

function keep(
  file: string,
  source: Source,
  columns: ReadonlyMap<string, Column>,
  evaluations: readonly EvaluationRecord[],
): void {
  const bytes = ({ buffer, byteOffset, byteLength }: Float64Array) =>
    Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
  const parts = [...columns.values()].flatMap(({ steps, values }) => [bytes(steps), bytes(values)])
  parts.push(Buffer.from(JSON.stringify(evaluations)))
  const header: z.output<typeof keptHeader> = {
    version: 1,
    ...source,
    crc32: parts.reduce((sum, part) => crc32(part, sum), 0),
    columns: [...columns].map(([key, { values }]) => ({ key, count: values.length })),
  }
  try {
    writeFileAtomic(file, [Buffer.from(`${JSON.stringify(header)}\n`), ...parts])
  } catch (error) {
    // It is there to save time; without room there is none to be saved.
    if (!isDiskFull(error)) throw error
  }
}

/** Undefined when there is none, when it is of another log, or not whole. */
function readKept(file: string, { size, mtimeMs }: Source): MetricColumns | undefined {
  if (!existsSync(file)) return undefined
  const bytes = readFileSync(file)
  const line = bytes.indexOf('\n')
  let header: z.output<typeof keptHeader>
  try {
    header = parse(keptHeader, JSON.parse(bytes.toString('utf8', 0, line)))
  } catch {
    return undefined
  }
  const body = bytes.subarray(line + 1)
  if (header.size !== size || header.mtimeMs !== mtimeMs || crc32(body) !== header.crc32) return undefined
  let at = 0
  const numbers = (count: number) => {
    const from = body.byteOffset + at
    at += 8 * count
    return new Float64Array(body.buffer.slice(from, from + 8 * count))
  }
  const columns = new Map(
    header.columns.map(({ key, count }) => [key, { steps: numbers(count), values: numbers(count) }]),
  )
  const evaluations = JSON.parse(body.toString('utf8', at)) as EvaluationRecord[]
  return { columns: withHeldOut(columns, evaluations), evaluations }
}
