import { parameterCount, type TeacherBench } from '#contract'
import { startBackend } from '../backend'
import { tf } from '../backend/tf'
import { createTables, forward } from '../model/forward'
import { initialise, toTensors } from '../model/weights'
import type { Progress } from '../progress'
import type { SizedJob } from './job'
import { median, models } from './models'
import { configurations } from './reference'

/** A frozen model's forward pass over a batch of the configuration, its logits' mean read. */
export async function benchTeacher(job: SizedJob, progress: Progress): Promise<TeacherBench> {
  const config = models[job.config]
  const { batch, time } = configurations[job.config]
  const backend = await startBackend(job.backend, { threads: job.threads })
  const parameters = toTensors(initialise(config, 1))
  const tables = createTables(config, time)
  const tokens = Int32Array.from({ length: batch * time }, (_, i) => (i * 31) % config.vocab)
  const times: number[] = []
  for (let i = 0; i <= job.steps; i++) {
    const started = performance.now()
    const mean = tf.tidy(() =>
      tf.mean(forward(config, parameters, tf.tensor2d(tokens, [batch, time], 'int32'), tables).logits),
    )
    await mean.data()
    mean.dispose()
    if (i) times.push(performance.now() - started)
    progress(`pass ${i}`, i / job.steps)
  }
  const msPerPass = median(times)
  return {
    part: 'teacher',
    config: job.config,
    parameters: parameterCount(config),
    msPerPass,
    tokensPerSecond: (batch * time * 1000) / msPerPass,
    backend: backend.kind,
    threads: backend.threads,
  }
}
