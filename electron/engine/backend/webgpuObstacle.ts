import { existsSync } from 'node:fs'
import { probeWebgpu } from './webgpu'

/** Debian's chromium brings it. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json'

/**
 * For tests: why WebGPU cannot be tried here, if it cannot. On a machine without a GPU the software driver of a
 * browser computes what a GPU would.
 */
export async function webgpuObstacle(): Promise<string | undefined> {
  const works = () =>
    probeWebgpu().then(
      () => undefined,
      (error: Error) => error.message,
    )
  const obstacle = await works()
  if (!obstacle || process.env.VK_ICD_FILENAMES || !existsSync(SWIFTSHADER)) return obstacle
  process.env.VK_ICD_FILENAMES = SWIFTSHADER
  return works()
}
