import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Job, type ModelConfig } from '#contract'
import { sha256File } from '../../files'
import { startBackend } from '../backend'
import { BOUNDARY, toTokenizerJson } from '../data/byteBpe'
import { bytesToCharacters } from '../data/bytes'
import { loadTokenizer, tokenizerFile } from '../data/tokenizer'
import { huggingFaceFiles } from './exportHuggingFace'
import { encodeOnnxModel } from './exportOnnx'
import { importTeacher } from './importTeacher'
import { initialise } from './weights'

const root = mkdtempSync(join(tmpdir(), 'retort-fitted-'))
beforeAll(() => startBackend('onnx', { threads: 1 }))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const BYTES = Array.from({ length: 256 }, (_, byte) => bytesToCharacters(Uint8Array.of(byte)))
/** As many rows as its tokenizer has pieces: what is added to that has none, as Gemma 3's image token. */
const model: ModelConfig = {
  family: 'llama',
  vocab: 257,
  width: 16,
  layers: 1,
  heads: 2,
  kvHeads: 2,
  hidden: 24,
  context: 64,
  tied: true,
  ropeBase: 10_000,
  normEpsilon: 1e-6,
}
const IMAGE = '<image_soft_token>'

function tokenizerJson(added: readonly (readonly [id: number, content: string])[], pieces: string[] = []) {
  const vocab = new Map([BOUNDARY, ...BYTES, ...pieces].map((piece, id) => [piece, id]))
  const json = toTokenizerJson({ vocab, merges: [] }) as { added_tokens: Record<string, unknown>[] }
  const like = json.added_tokens[0]!
  const more = added.map(([id, content]) => ({ ...like, id, content }))
  return JSON.stringify({ ...json, added_tokens: [...json.added_tokens, ...more] })
}

let count = 0
function place(tokenizer: string, kind: 'folder' | 'onnx') {
  const path = join(root, String(count++))
  mkdirSync(path)
  const weights = initialise(model, 3)
  const files =
    kind === 'folder'
      ? huggingFaceFiles({
          config: model,
          weights,
          bos: 0,
          eos: [0],
          dtype: 'f32',
          beginning: BOUNDARY,
        } as never)
      : ([['model.onnx', [encodeOnnxModel(model, weights)]]] as const)
  for (const [name, content] of files)
    writeFileSync(join(path, name), typeof content === 'string' ? content : Buffer.concat(content))
  writeFileSync(join(path, 'tokenizer.json'), tokenizer)
  return kind === 'folder' ? path : join(path, 'model.onnx')
}

function bring(path: string) {
  const dataDir = join(root, `data-${count}`)
  const job: Extract<Job, { kind: 'import-teacher' }> = {
    kind: 'import-teacher',
    dataDir,
    threads: 1,
    id: 'm',
    name: 'm',
    tokenizerId: 't',
    path,
    format: 'auto',
  }
  return { dataDir, done: importTeacher(job, () => {}) }
}

describe.each(['folder', 'onnx'] as const)(
  'of a model (%s) whose tokenizer has more tokens than it has rows',
  (kind) => {
    it('those that were added beyond are left out: a text that names one is text', async () => {
      const path = place(tokenizerJson([[257, IMAGE]]), kind)
      const { dataDir, done } = bring(path)
      const { teacher, tokenizer } = await done
      expect([teacher.model.vocab, tokenizer.vocab, 'rows' in teacher.model]).toEqual([257, 257, false])
      expect(tokenizer.digest).toBe(await sha256File(tokenizerFile(dataDir, tokenizer)))
      const open = await loadTokenizer(dataDir, tokenizer)
      const ids = Array.from(open.encode(`see ${IMAGE}`))
      expect(Math.max(...ids)).toBeLessThan(257)
      expect(open.decode(ids)).toBe(`see ${IMAGE}`)
    })

    it('all of them stay where it has a row for each', async () => {
      const whole = tokenizerJson([[256, BYTES[255]!]])
      const path = place(whole, kind)
      const { dataDir, done } = bring(path)
      const { tokenizer } = await done
      expect(readFileSync(tokenizerFile(dataDir, tokenizer), 'utf8')).toBe(whole)
    })

    it('pieces that texts are cut into are never left out: it is another model’s, and nothing is written', async () => {
      const { dataDir, done } = bring(place(tokenizerJson([[258, IMAGE]], ['th']), kind))
      await expect(done).rejects.toThrow(/the model has a vocabulary of 257, its tokenizer of 258/)
      for (const folder of ['teachers/m', 'tokenizers/t'])
        expect(existsSync(join(dataDir, 'library', folder))).toBe(false)
    })
  },
)
