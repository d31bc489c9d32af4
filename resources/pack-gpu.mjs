/**
 * `npm run pack:gpu`: lays what check:gpu needs on a machine without Node, npm and network into .gpu/: this Node and
 * ONNX Runtime compressed, the check as a bundle, the Vulkan loader. There: `sh .gpu/run.sh`. Linux on x86-64 alone.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { build } from 'vite'

const root = resolve(import.meta.dirname, '..')
const folder = join(root, '.gpu')
const check = join(folder, 'check')
/** What a tree that travels may have, with the tracked files. */
const LIMIT_MB = 64
/** The loader, and what NVIDIA's driver looks for beside it where a machine has no display. */
const PACKAGES = [
  'libvulkan1',
  'libglvnd0',
  'libegl1',
  'libgl1',
  'libglx0',
  'libopengl0',
  'libgles2',
  'libx11-6',
  'libxext6',
  'libxcb1',
  'libxau6',
  'libxdmcp6',
  'libbsd0',
  'libmd0',
]
const LOADER = PACKAGES[0]

if (process.platform !== 'linux' || process.arch !== 'x64') {
  process.stderr.write('pack:gpu packs for Linux on x86-64 and needs such a machine\n')
  process.exit(2)
}
const runtime = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
const native = join(runtime, 'bin/napi-v6/linux/x64')

mkdirSync(folder, { recursive: true })
rmSync(check, { recursive: true, force: true })
await bundle()
copyRuntime()
fetchLibraries()
compress(process.execPath, 'node.xz')
compress(join(native, 'libonnxruntime.so.1'), 'libonnxruntime.so.1.xz')
copyFileSync(join(root, 'resources/run-gpu.sh'), join(folder, 'run.sh'))
chmodSync(join(folder, 'run.sh'), 0o755)
tellSize()

async function bundle() {
  await build({
    root,
    configFile: false,
    logLevel: 'warn',
    // tfjs's CommonJS build, as in the source: its ESM files would be a second instance.
    resolve: { alias: { '#contract': join(root, 'electron/contract/index.ts') }, mainFields: ['main'] },
    ssr: { noExternal: true, external: ['onnxruntime-node', '@tensorflow/tfjs-node-gpu'] },
    build: {
      ssr: join(root, 'electron/engine/bench/gpu/index.ts'),
      target: 'node20.19',
      outDir: check,
      minify: true,
      rollupOptions: { output: { entryFileNames: 'check.mjs', chunkFileNames: '[name]-[hash].mjs' } },
    },
  })
  copyFileSync(join(root, 'electron/engine/bench/gpu/peer.py'), join(check, 'peer.py'))
}

/** The JavaScript of ONNX Runtime and its binding; its large library travels compressed. */
function copyRuntime() {
  const modules = join(check, 'node_modules')
  const to = join(modules, 'onnxruntime-node')
  const own = ['package.json', 'dist', 'bin/napi-v6/linux/x64/onnxruntime_binding.node']
  for (const path of own) cpSync(join(runtime, path), join(to, path), { recursive: true })
  const common = dirname(createRequire(join(runtime, 'dist/index.js')).resolve('onnxruntime-common'))
  const commonRoot = common.slice(0, common.lastIndexOf('onnxruntime-common') + 'onnxruntime-common'.length)
  const leftOut = /\.(map|ts)$/
  cpSync(commonRoot, join(modules, 'onnxruntime-common'), {
    recursive: true,
    filter: (path) => !leftOut.test(path) && !path.endsWith('/lib'),
  })
}

/** Only the libraries of the packages, out of them: the machine may have no dpkg. */
function fetchLibraries() {
  const to = join(folder, 'lib')
  const mark = join(to, 'of')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === PACKAGES.join()) return
  rmSync(to, { recursive: true, force: true })
  const scratch = mkdtempSync(join(tmpdir(), 'retort-pack-'))
  try {
    execFileSync('apt-get', ['download', '-qq', ...PACKAGES], {
      cwd: scratch,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    for (const name of PACKAGES) {
      const file = readdirSync(scratch).find((entry) => entry.startsWith(`${name}_`))
      execFileSync('dpkg-deb', ['-x', file, name], { cwd: scratch })
      const into = join(to, name === LOADER ? LOADER : 'others')
      mkdirSync(into, { recursive: true })
      const libraries = join(scratch, name, 'usr/lib/x86_64-linux-gnu')
      // Under the names that are asked for: a link would not survive every way of copying.
      for (const entry of readdirSync(libraries))
        if (/\.so\.\d+$/.test(entry)) copyFileSync(join(libraries, entry), join(into, entry))
    }
    writeFileSync(mark, PACKAGES.join())
  } catch (error) {
    rmSync(to, { recursive: true, force: true })
    process.stderr.write(
      `without the Vulkan loader, which could not be fetched: ${error.message.split('\n')[0]}\n`,
    )
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

/** Minutes of work, so that it is done once for each file. */
function compress(file, name) {
  const { size, mtimeMs } = statSync(file)
  const of = JSON.stringify({ size, mtimeMs })
  const [to, mark] = [join(folder, name), join(folder, `${name}.of`)]
  if (existsSync(to) && existsSync(mark) && readFileSync(mark, 'utf8') === of) return
  process.stdout.write(`compressing ${file}\n`)
  const packed = execFileSync('xz', ['-6', '-T0', '-c', file], { maxBuffer: 2 ** 30 })
  writeFileSync(to, packed)
  writeFileSync(mark, of)
}

function tellSize() {
  const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
  })
  const paths = tracked.toString().split('\0').filter(Boolean)
  const mb = (bytes) => bytes / 2 ** 20
  const packed = mb(sizeOf(folder))
  const rest = mb(
    paths.reduce((sum, path) => sum + (statSync(join(root, path), { throwIfNoEntry: false })?.size ?? 0), 0),
  )
  const all = packed + rest
  process.stdout.write(`.gpu: ${packed.toFixed(1)} MiB, with the checkout ${all.toFixed(1)} of ${LIMIT_MB}\n`)
  if (all > LIMIT_MB) process.exit(1)
}

function sizeOf(path) {
  const found = statSync(path)
  if (!found.isDirectory()) return found.size
  return readdirSync(path).reduce((sum, entry) => sum + sizeOf(join(path, entry)), 0)
}
