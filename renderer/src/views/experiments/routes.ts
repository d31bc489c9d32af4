import { valueAt, withValue } from './definitionText'
import { mixtureIn } from './mixture'

const PATH = 'weighting.routes'

/** A corpus of a definition, or one that a route still names, and the teacher that it is learned from. */
export interface Route {
  corpus: string
  teacher?: string
  /** It is no corpus of the definition any more: its route is refused. */
  stray: boolean
}

/** A route for each corpus of a definition, then those that are left over. */
export function routesIn(text: string): Route[] {
  const routes = new Map(Object.entries(written(text)))
  const names = mixtureIn(valueAt(text, 'corpus')).map(({ name }) => name)
  const strays = [...routes.keys()].filter((corpus) => !names.includes(corpus))
  return [...new Set(names), ...strays].map((corpus) => ({
    corpus,
    teacher: routes.get(corpus),
    stray: !names.includes(corpus),
  }))
}

/** The definition with a corpus routed to a teacher, or to none. */
export function routing(text: string, corpus: string, teacher: string | undefined): string {
  const others = Object.entries(written(text)).filter(([name]) => name !== corpus)
  const routes = teacher === undefined ? others : [...others, [corpus, teacher] as const]
  return withValue(text, PATH, routes.length ? Object.fromEntries(routes) : undefined)
}

function written(text: string): Record<string, string> {
  const routes = valueAt(text, PATH)
  return typeof routes === 'object' && routes !== null ? (routes as Record<string, string>) : {}
}
