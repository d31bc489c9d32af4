/** A line of the check's table. What was not measured is left out. */
export interface Row {
  /** What was computed: the adapter, kernels, steps, or a configuration. */
  what: string
  /** What computed it. */
  device: string
  precision?: 'f32' | 'f16' | 'bf16'
  /** Median of the timed steps. */
  msPerStep?: number
  tokensPerSecond?: number
  /** Most memory of the GPU beyond what was in use before, in MiB. */
  gpuMb?: number
  /** Most resident memory of the process, in MiB. */
  hostMb?: number
  note?: string
  /** Why there is no result, or that it is wrong; in one line. */
  error?: string
}

/** What a part tells the check, as a line of JSON on its standard output. Other lines are progress. */
export type Message = { row: Row } | { checked: Checked }

/** What some of the kernels' cases gave. */
export interface Checked {
  /** Number of the first case that has not been looked at. */
  next: number
  right: number
  /** A line for each case that is wrong. */
  wrong: string[]
  /** The same for those that are wrong where the right value is infinite or no number: WGSL lets a driver take it that
   * there are none. */
  special: string[]
  worst: { what: string; error: number }
  /** Names of the kernels that were called. */
  called: string[]
  /** How many the backend has. */
  kernels: number
}

export function say(message: Message): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

/** @returns undefined for a line of progress */
export function heard(line: string): Message | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const message = JSON.parse(line) as Message
    return 'row' in message || 'checked' in message ? message : undefined
  } catch {
    return undefined
  }
}

const COLUMNS: [string, (row: Row) => string][] = [
  ['what', ({ what }) => what],
  ['computed by', ({ device }) => device],
  ['', ({ precision }) => precision ?? ''],
  ['ms a step', ({ msPerStep }) => number(msPerStep)],
  ['tokens/s', ({ tokensPerSecond }) => number(tokensPerSecond)],
  ['GPU MB', ({ gpuMb }) => number(gpuMb)],
  ['host MB', ({ hostMb }) => number(hostMb)],
  ['', ({ note, error }) => (error ? `FAILED: ${error}` : (note ?? ''))],
]
const NUMBERS = new Set(['ms a step', 'tokens/s', 'GPU MB', 'host MB'])

/** The rows in columns, a line each, the numbers to the right. */
export function tableOf(rows: readonly Row[]): string {
  const cells = [COLUMNS.map(([title]) => title), ...rows.map((row) => COLUMNS.map(([, of]) => of(row)))]
  const widths = COLUMNS.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)))
  const aligned = (text: string, i: number) =>
    NUMBERS.has(COLUMNS[i]![0]) ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)
  return cells.map((line) => line.map(aligned).join('  ').trimEnd()).join('\n')
}

/** Three digits, or whole numbers with their thousands apart. */
function number(value: number | undefined): string {
  if (value === undefined) return ''
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toPrecision(3)
}
