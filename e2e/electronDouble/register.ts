import { register } from 'node:module'

/** `electron` is the double from here on, or the one that only writes down what it is asked for. */
const name = process.env.RETORT_DOUBLE_RECORDS ? './recorder.ts' : './electron.ts'
const double = new URL(name, import.meta.url).href
const hooks = `export async function resolve(specifier, context, next) {
  return next(specifier === 'electron' ? ${JSON.stringify(double)} : specifier, context)
}`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)
