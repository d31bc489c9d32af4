import { hostMessage, parse, toErrorShape, type HostMessage, type Job, type WorkerEvent } from '#contract'
import { holdHeap } from './heap'
import { Control } from './train/control'
import type { Progress } from './progress'

/**
 * Entry of the worker process. One job comes in, events go out, the process ends. The same file runs under Electron's
 * utilityProcess.fork (parentPort), child_process.fork (process.send) and inside a cluster task.
 */
interface Port {
  post(event: WorkerEvent): void
  listen(listener: (message: unknown) => void): void
}

interface ParentPort {
  postMessage(message: unknown): void
  on(event: 'message', listener: (event: { data: unknown }) => void): void
}

function openPort(): Port {
  const { parentPort } = process as unknown as { parentPort?: ParentPort }
  if (parentPort) {
    return {
      post: (event) => parentPort.postMessage(event),
      listen: (listener) => parentPort.on('message', ({ data }) => listener(data)),
    }
  }
  if (!process.send) throw new Error('the worker is started by a host, not by hand')
  // A worker without its host has nobody to report to: it ends, and its run is resumed from the last checkpoint.
  process.on('disconnect', () => process.exit(1))
  return {
    post: (event) => void process.send!(event, undefined, {}, () => {}),
    listen: (listener) => process.on('message', listener),
  }
}

holdHeap()
const port = openPort()
const control = new Control()
const progress: Progress = (phase, fraction, secondsLeft) =>
  port.post({ type: 'progress', phase, fraction, secondsLeft })

/** The modules of a job are loaded when it is known which job it is: an import needs no tensors. */
async function perform(job: Job): Promise<unknown> {
  switch (job.kind) {
    case 'run':
      // A cluster that takes the node away tells every process of the job: it ends with a checkpoint.
      process.on('SIGTERM', () => control.stop())
      return (await import('./train/run')).trainRun(job, control, port.post)
    case 'prepare':
      process.on('SIGTERM', () => control.stop())
      return (await import('./train/prepare')).prepareRun(job, control, port.post)
    case 'import-corpus':
      return (await import('./data/importCorpus')).importCorpus(job, progress)
    case 'preview-corpus':
      return (await import('./data/previewCorpus')).previewCorpus(job)
    case 'preview-reading':
      return (await import('./data/previewReading')).previewReading(job)
    case 'generate-corpus':
      return (await import('./data/grammar')).generateCorpus(job, progress)
    case 'train-tokenizer':
      return (await import('./data/trainTokenizer')).trainTokenizer(job, progress)
    case 'import-tokenizer':
      return (await import('./data/importTokenizer')).importTokenizer(job, progress)
    case 'import-teacher':
      return (await import('./model/importTeacher')).importTeacher(job, progress)
    case 'derive-teacher':
      return (await import('./model/deriveTeacher')).deriveTeacher(job)
    case 'evaluate':
      return (await import('./evaluate/evaluateModels')).evaluateModels(job, progress)
    case 'calibrate':
      return (await import('./evaluate/calibrateModels')).calibrateModels(job, progress)
    case 'measure-int8':
      return (await import('./evaluate/int8Cost')).measureInt8(job, progress)
    case 'disagreement':
      return (await import('./evaluate/disagreement')).readDisagreement(job, progress)
    case 'generate':
      return (await import('./evaluate/generateText')).generateText(job, (text, token) =>
        port.post({ type: 'text', text, token }),
      )
    case 'export':
      return (await import('./model/exportModel')).exportModel(job, progress)
    case 'bench':
      return (await import('./bench')).benchPart(job, progress)
    case 'self-test': {
      const { detectBackends, selfTest } = await import('./backend')
      await selfTest()
      return { backends: await detectBackends() }
    }
  }
}

let started = false

async function receive(message: HostMessage): Promise<void> {
  if (message.type !== 'job') return control[message.type]()
  if (started) return
  started = true
  try {
    finish({ type: 'done', result: await perform(message.job) }, 0)
  } catch (error) {
    const shape = toErrorShape(error)
    if (shape.code === 'failed' && error instanceof Error && error.name !== 'RetortError')
      console.error(error.stack)
    finish({ type: 'error', error: shape }, 1)
  }
}

/** The last event must have left the process before it ends. */
function finish(event: WorkerEvent, code: number): void {
  process.exitCode = code
  if (process.send && !(process as unknown as { parentPort?: unknown }).parentPort) {
    process.send(event, undefined, {}, () => process.exit(code))
    return
  }
  port.post(event)
  setTimeout(() => process.exit(code), 200)
}

port.listen((raw) => {
  try {
    void receive(parse(hostMessage, raw))
  } catch (error) {
    finish({ type: 'error', error: toErrorShape(error) }, 1)
  }
})
port.post({ type: 'ready' })
