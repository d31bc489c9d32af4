import { z } from 'zod'
import { alarm } from '../alarm'
import { errorShape } from '../errors'
import { calibration, id } from '../library'
import { evaluationRecord, stepRecord } from '../metrics'
import { checkpoint, environment, teacherOutputs } from '../run'
import { serverHealth } from '../served'
import { job } from './job'
import { continuedToken } from './models'

/** Host to worker. The first message is the job; `pause`, `continue` and `stop` act within one step. */
export const hostMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('job'), job }),
  z.object({ type: z.literal('pause') }),
  z.object({ type: z.literal('continue') }),
  z.object({ type: z.literal('stop') }),
])
export type HostMessage = z.output<typeof hostMessage>

/**
 * Worker to host. A record is sent only after it has reached the run folder's log: what a host has seen survives the
 * death of the worker. `done` or `error` is the last event of a job.
 */
export const workerEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('environment'), environment }),
  /** `fraction` 0..1 of the whole job; `secondsLeft` once it can be told. */
  z.object({
    type: z.literal('progress'),
    phase: z.string(),
    fraction: z.number(),
    secondsLeft: z.number().optional(),
  }),
  z.object({ type: z.literal('step'), record: stepRecord }),
  z.object({ type: z.literal('evaluation'), record: evaluationRecord }),
  z.object({ type: z.literal('checkpoint'), checkpoint }),
  z.object({ type: z.literal('alarm'), alarm }),
  /** A teacher's temperature was fitted: the library keeps it with the teacher. */
  z.object({ type: z.literal('calibration'), teacher: id, calibration }),
  z.object({ type: z.literal('log'), level: z.enum(['info', 'warn', 'error']), message: z.string() }),
  /** Of this process; a resumed run adds them to what it had. */
  z.object({ type: z.literal('teacher-outputs'), outputs: z.array(teacherOutputs) }),
  /** Of this process. */
  z.object({ type: z.literal('servers'), servers: z.array(serverHealth) }),
  z.object({ type: z.literal('paused') }),
  z.object({ type: z.literal('continued') }),
  z.object({ type: z.literal('text'), text: z.string(), token: continuedToken.optional() }),
  /** `result` by the job's kind; a run's is `{status: 'completed' | 'stopped', step}`, and why it stopped by itself. */
  z.object({ type: z.literal('done'), result: z.unknown() }),
  z.object({ type: z.literal('error'), error: errorShape }),
])
export type WorkerEvent = z.output<typeof workerEvent>

/** What of these is kept in the run folder's `events.jsonl`, with the time it happened. */
export const loggedEvent = z.object({
  at: z.iso.datetime(),
  event: z.enum([
    'started',
    'resumed',
    'paused',
    'continued',
    'checkpoint',
    'alarm',
    'log',
    'completed',
    'stopped',
    'failed',
  ]),
  step: z.number().optional(),
  message: z.string().optional(),
  /** Of an `alarm`; `message` repeats its sentence. */
  alarm: alarm.optional(),
})
export type LoggedEvent = z.output<typeof loggedEvent>
