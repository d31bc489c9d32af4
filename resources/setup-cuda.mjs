import { spawnSync } from 'node:child_process'

/**
 * Runs the two install scripts that `.npmrc` switches off: they fetch native libraries for NVIDIA GPUs. With a
 * time-out, and with the real error shown.
 */
const TIMEOUT_MS = 15 * 60_000

function run(title, command, args) {
  process.stdout.write(`${title}\n`)
  const { status, error } = spawnSync(command, args, {
    stdio: 'inherit',
    timeout: TIMEOUT_MS,
    shell: process.platform === 'win32',
  })
  if (status === 0) return true
  process.stderr.write(`${title}: failed${error ? ` (${error.message})` : ` with exit status ${status}`}\n`)
  return false
}

const done = [
  run('TensorFlow for tfjs-node-gpu', 'npm', [
    'rebuild',
    '@tensorflow/tfjs-node-gpu',
    '--ignore-scripts=false',
  ]),
  run('CUDA provider of onnxruntime-node', process.execPath, [
    'node_modules/onnxruntime-node/script/install',
    '--onnxruntime-node-install=cuda12',
  ]),
]
process.exit(done.every(Boolean) ? 0 : 1)
