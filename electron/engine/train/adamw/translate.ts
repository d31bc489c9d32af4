import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const own = fileURLToPath(import.meta.url)
const folder = dirname(own)

/** The bytes of update.wat in base64. */
export async function translate(): Promise<string> {
  const { default: load } = await import('wabt')
  const wabt = await load()
  const module = wabt.parseWat('update.wat', readFileSync(join(folder, 'update.wat'), 'utf8'), { simd: true })
  try {
    return Buffer.from(module.toBinary({}).buffer).toString('base64')
  } finally {
    module.destroy()
  }
}

// `npm run build:wasm`, after a change of the text.
if (process.argv[1] === own) {
  const source = `// update.wat, translated by translate.ts\nexport default '${await translate()}'\n`
  writeFileSync(join(folder, 'updateBytes.ts'), source)
}
