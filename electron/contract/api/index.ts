import { z } from 'zod'
import { appInfo, settings, settingsChange } from '../settings'
import { task } from '../task'
import { bin } from './bin'
import { experiments } from './experiments'
import { grids } from './grids'
import { library } from './library'
import { machines } from './machines'
import { byId, method, none } from './method'
import { reports } from './reports'
import { runs } from './runs'

/** Every method that a host offers. Parameters are parsed at the boundary, results are trusted. */
export const api = {
  'app.info': method(none, appInfo),
  'settings.get': method(none, settings),
  'settings.set': method(settingsChange, settings),

  ...experiments,
  ...grids,
  ...machines,
  ...library,
  ...runs,
  ...reports,
  ...bin,

  'tasks.list': method(none, z.array(task)),
  'tasks.stop': method(byId, task),
  'demo.start': method(z.strictObject({ quick: z.boolean().default(false) }), task),
} as const

export type Api = typeof api
export type MethodName = keyof Api
export type Params<M extends MethodName> = z.input<Api[M]['params']>
export type ParsedParams<M extends MethodName> = z.output<Api[M]['params']>
export type Result<M extends MethodName> = z.output<Api[M]['result']>
/** What every host calls and what the page is given: one function per method. */
export type Call = <M extends MethodName>(name: M, params: Params<M>) => Promise<Result<M>>
