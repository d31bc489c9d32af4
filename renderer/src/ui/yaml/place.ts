/** Where in a YAML document somebody is writing. */
export interface Place {
  /** The keys that lead there, without the places of lists: of the group where a key is written, else of the value. */
  path: readonly string[]
  /** A value may be a list's item, which may be a group: then keys are possible too. */
  kind: 'key' | 'value'
  /** Where what has been typed of it begins. */
  from: number
}

/** A `{` or `[` that is open, and where it stands. */
interface Flow {
  path: readonly string[]
  list: boolean
  /** Of a `{`: the key whose value is being read. */
  key?: string
}

/**
 * Finds the place of a position by indentation and brackets: the document need not be whole, as a parser would have it.
 *
 * @returns undefined within a comment
 */
export function placeAt(text: string, at: number): Place | undefined {
  const lines = text.slice(0, at).split('\n')
  const reader = new Reader()
  let offset = 0
  let place: Place | undefined
  for (const line of lines) {
    place = reader.read(line, offset)
    offset += line.length + 1
  }
  return place
}

class Reader {
  private groups: { indent: number; key: string }[] = []
  private flows: Flow[] = []

  /** Reads a line that begins at `offset`, and tells what is written at its end. */
  read(line: string, offset: number): Place | undefined {
    if (this.flows.length) return this.readFlow(line, 0, offset)
    // A dash makes an item of a list, and is its indentation.
    const indent = /^\s*(?:- +)*/.exec(line)![0].length
    const own = line.slice(indent)
    if (own.startsWith('#')) return undefined
    // An empty line closes nothing, unless something is written there.
    const around = this.groups.filter((group) => group.indent < indent)
    if (own) this.groups = around
    const path = around.map(({ key }) => key)
    const pair = /^([\w.-]+):(?:\s+|$)/.exec(own)
    if (!pair) {
      const isItem = line.slice(0, indent).includes('-')
      return { path, kind: isItem ? 'value' : 'key', from: offset + indent }
    }
    const key = pair[1]!
    this.groups.push({ indent, key })
    return this.readFlow(line, indent + pair[0].length, offset, [...path, key])
  }

  /** Reads on from a column, within the brackets that are open, or the value of a path. */
  private readFlow(
    line: string,
    column: number,
    offset: number,
    path: readonly string[] = [],
  ): Place | undefined {
    let from = column
    const around = (): readonly string[] => {
      const flow = this.flows.at(-1)
      return flow ? (flow.key === undefined ? flow.path : [...flow.path, flow.key]) : path
    }
    for (let i = column; i < line.length; i++) {
      const letter = line[i]!
      const flow = this.flows.at(-1)
      if (letter === '#' && (i === 0 || line[i - 1] === ' ')) return undefined
      if ((letter === '"' || letter === "'") && !line.slice(from, i).trim()) {
        const end = line.indexOf(letter, i + 1)
        if (end < 0) break
        i = end
      } else if ((letter === '{' || letter === '[') && !line.slice(from, i).trim()) {
        this.flows.push({ path: around(), list: letter === '[' })
        from = i + 1
      } else if (flow && (letter === '}' || letter === ']')) {
        this.flows.pop()
        from = i + 1
      } else if (flow && letter === ',') {
        flow.key = undefined
        from = i + 1
      } else if (flow && !flow.list && letter === ':' && flow.key === undefined) {
        flow.key = line.slice(from, i).trim()
        from = i + 1
      }
    }
    const typed = /^\s*/.exec(line.slice(from))![0].length
    const flow = this.flows.at(-1)
    const isKey = flow && !flow.list && flow.key === undefined
    return { path: around(), kind: isKey ? 'key' : 'value', from: offset + from + typed }
  }
}
