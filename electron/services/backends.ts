import type { AppInfo, SelfTestResult } from '#contract'
import type { Context } from './context'
import { performJob } from './jobs'

/** What can compute here, asked of a worker: the host process loads no native library. */
export async function findBackends(context: Context): Promise<AppInfo['backends']> {
  try {
    return (await performJob<SelfTestResult>(context, { kind: 'self-test' })).backends
  } catch (error) {
    return [{ name: 'onnx', available: false, note: (error as Error).message }]
  }
}
