import { latexText } from './latexText'

/** What two columns stand apart, in digits. */
const APART = 2.6
/** A text that is longer is broken into lines of so many letters: of the first that takes no more parts than the last. */
const BROKEN = [60, 36, 24] as const
/** A letter is narrower than a digit. */
const LETTER = 0.9
/** Lines that fit on a page beside a caption. */
const PAGE = 40

export interface LatexTable {
  /** Plain text: what it is, then of what its numbers are and how intervals were made. */
  title: string
  notes: readonly string[]
  /** As in `lrr`; what stands in `l` may be broken into lines. The first ones name the rows. */
  columns: string
  /** How many columns name the rows: they stand in each part of a table that is too wide. */
  names: number
  /** Plain text. */
  head: readonly string[]
  /** LaTeX. */
  rows: readonly (readonly string[])[]
}

/** A part of a table that fits on the line. */
interface Part {
  columns: number[]
  broken: number
  rows: string[][]
  lines: number
}

/**
 * A table as floats: one that is wider than the line stands in parts below each other, each with the names of its rows,
 * and what is longer than a page goes on in a further float. The type keeps its size.
 *
 * @param label gives each float a label of its own
 * @param line digits of 9 pt that fit into a line
 */
export function packedTable(table: LatexTable, label: () => string, line: number): string[] {
  const floats: Part[][] = [[]]
  for (const part of partsOf(table, line)) {
    const filled = floats.at(-1)!.reduce((sum, { lines }) => sum + lines, 0)
    if (filled && filled + part.lines > PAGE) floats.push([part])
    else floats.at(-1)!.push(part)
  }
  const [notes, title] = [table.notes.map(latexText), latexText(table.title)]
  return floats.map((parts, i) => {
    const caption = i ? `${title} (continued).` : [`${title}.`, ...notes].join(' ')
    return [
      '\\begin{table}[htbp]',
      '\\centering\\small',
      `\\caption[${title}]{${caption}}`,
      `\\label{${label()}}`,
      '\\par\\smallskip',
      parts.map((part) => tabular(table, part)).join('\n\\par\\medskip\n'),
      '\\end{table}',
    ].join('\n')
  })
}

function partsOf(table: LatexTable, line: number): Part[] {
  const { columns, names, rows } = table
  const naming = Array.from({ length: names }, (_, at) => at)
  const layouts = BROKEN.map((broken) => ({ broken, groups: groupsOf(table, line, broken) }))
  const { broken, groups } = layouts.find(({ groups }) => groups.length <= layouts.at(-1)!.groups.length)!
  return groups.flatMap((group) => {
    const shown = [...naming, ...group]
    const parts: Part[] = []
    for (const row of rows) {
      const cells = shown.map((at) => row[at]!)
      const lines = Math.max(
        ...cells.map((cell, i) => (columns[shown[i]!] === 'l' ? Math.ceil(letters(cell) / broken) : 1)),
      )
      const last = parts.at(-1)
      if (last && last.lines + lines <= PAGE) {
        last.rows.push(cells)
        last.lines += lines
      } else parts.push({ columns: shown, broken, rows: [cells], lines: lines + 4 })
    }
    return parts
  })
}

/** The columns that stand beside the names, in groups that fit into a line. */
function groupsOf({ columns, names, head, rows }: LatexTable, line: number, broken: number): number[][] {
  const width = (at: number) => {
    const words = Math.max(0, ...head[at]!.split(' ').map((word) => word.length))
    const own = Math.max(...rows.map((cells) => letters(cells[at]!)))
    const text = columns[at] === 'l'
    return APART + (text ? LETTER : 1) * Math.max(words, text ? Math.min(own, broken) : own)
  }
  const widths = columns.split('').map((_, at) => width(at))
  const room = line - widths.slice(0, names).reduce((sum, width) => sum + width, 0)
  return balanced(widths.slice(names), room).map((group) => group.map((i) => names + i))
}

/** Places in groups that fit into the room, as few as can be and about as wide as each other. */
function balanced(widths: readonly number[], room: number): number[][] {
  const fill = (most: number) => {
    const groups: number[][] = [[]]
    let used = 0
    for (const [at, width] of widths.entries()) {
      if (used && used + width > most) {
        groups.push([])
        used = 0
      }
      groups.at(-1)!.push(at)
      used += width
    }
    return groups
  }
  const fewest = fill(room).length
  let most = widths.reduce((sum, width) => sum + width, 0) / fewest
  while (most < room && fill(most).length > fewest) most++
  return fill(Math.min(most, room))
}

function tabular({ columns, head }: LatexTable, { columns: shown, broken, rows }: Part): string {
  const side = (at: number) => columns[at]!
  const body = rows.map((cells) =>
    cells.map((cell, i) => (side(shown[i]!) === 'l' ? boxed(cell, broken) : cell)),
  )
  const heads = shown.map((at, i) => {
    const widest = Math.max(...rows.map((cells) => letters(cells[i]!)))
    return stacked(head[at]!, widest, side(at))
  })
  return [
    `\\begin{tabular}{${shown.map(side).join('')}}`,
    '\\toprule',
    `${heads.join(' & ')} \\\\`,
    '\\midrule',
    ...body.map((cells) => `${cells.join(' & ')} \\\\`),
    '\\bottomrule',
    '\\end{tabular}',
  ].join('\n')
}

/** A head in lines that are no wider than its column where its words allow it. */
function stacked(head: string, widest: number, side: string): string {
  const lines: string[] = []
  for (const word of head.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= widest)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  const written = lines.map(latexText)
  return lines.length > 1 ? `\\shortstack[${side}]{${written.join('\\\\')}}` : written.join('')
}

/** A long text in a box of its own, which may break behind the signs between the parts of a setting's name. */
function boxed(cell: string, broken: number): string {
  if (letters(cell) <= broken) return cell
  const text = cell.replace(/(?<=[\w}])(?:\\_|[.=,/-])(?=\S)/g, '$&\\allowbreak{}')
  return `\\parbox[t]{${broken / 2}em}{\\raggedright ${text}\\strut}`
}

/** How many letters a reader sees. */
function letters(latex: string): number {
  return latex
    .replace(/\\textbf\{|\$/g, '')
    .replace(/\\[a-zA-Z]+(?:\{\})?/g, 'x')
    .replace(/\\(.)/g, '$1')
    .replace(/[{}]/g, '').length
}
