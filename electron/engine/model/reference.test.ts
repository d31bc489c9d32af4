import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EMBEDDING, HEAD, LIBRARY_ROW, type Teacher } from '#contract'
import { changedReference, readJson, sha256, sha256File, writeJsonAtomic } from '../../files'
import { startBackend } from '../backend'
import { importTeacher } from './importTeacher'
import { readModel, readTeacher, readTeacherHead } from './modelFolder'

const families = resolve(import.meta.dirname, '../../../../shared/data/families')
const there = existsSync(families)
if (!there) console.warn(`skipped for want of ${families}: teachers by reference`)

describe.skipIf(!there)('a teacher by reference', () => {
  const root = mkdtempSync(join(tmpdir(), 'retort-reference-'))
  beforeAll(() => startBackend('onnx', { threads: 1 }))
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  let count = 0
  /** A family's folder imported from a place of its own into a data directory of its own. */
  async function imported(family: string, byReference: boolean) {
    const place = join(root, String(count++))
    const [path, dataDir] = [join(place, 'model'), join(place, 'data')]
    cpSync(join(families, family), path, { recursive: true })
    const names = { id: 'm', name: 'm', tokenizerId: 't' }
    const job = { kind: 'import-teacher' as const, dataDir, threads: 1, format: 'auto' as const, ...names }
    const { teacher } = await importTeacher({ ...job, path, reference: byReference }, () => {})
    const folder = join(dataDir, 'library/teachers/m')
    return { path, dataDir, teacher, folder }
  }

  it.each(['qwen2-bf16', 'gpt2', 'phi3', 'gpt-neox', 'opt', 'llama2-sharded', 'gemma3'])(
    'of %s says what a copy says, number by number, and copies nothing',
    async (family) => {
      const [copy, own] = [await imported(family, false), await imported(family, true)]
      expect(readdirSync(own.folder).sort()).toEqual(['model.json', LIBRARY_ROW])
      const { reference, digest, ...rest } = own.teacher
      expect(rest).toEqual({ ...copy.teacher, digest: undefined, createdAt: rest.createdAt })
      expect(reference!.folder).toBe(own.path)
      const files = Object.entries(reference!.files)
      for (const [name, { digest }] of files) expect(digest).toBe(await sha256File(join(own.path, name)))
      expect(digest).toBe(
        files.length === 1
          ? files[0]![1].digest
          : sha256(JSON.stringify(files.map(([name, file]) => [name, file.digest]))),
      )
      const expected = await readTeacher(copy.dataDir, copy.teacher)
      expect(await readTeacher(own.dataDir, own.teacher)).toEqual(expected)
      expect(await readModel(own.folder)).toEqual(expected)
      const { head } = await readTeacherHead(own.dataDir, own.teacher)
      const table = expected.weights.get(expected.config.tied ? EMBEDDING : HEAD)!
      expect(head.data).toEqual(table.data.subarray(0, head.data.length))
    },
  )

  it('whose files are gone, cut, written again with other bytes or touched is refused as far as it is another', async () => {
    const { path, dataDir, folder, teacher } = await imported('qwen2', true)
    const file = join(path, 'model.safetensors')
    const kept = `${file}.kept`
    cpSync(file, kept)
    const quickly = () => changedReference(teacher.reference!, false)
    const refused = async (why: RegExp) => {
      await expect(readTeacher(dataDir, teacher)).rejects.toThrow(why)
      await expect(readTeacher(dataDir, teacher)).rejects.toThrow(
        /^the weights of teacher "m" have changed since it joined the library; import it again \(.*model\.safetensors: /,
      )
      await expect(readTeacherHead(dataDir, teacher)).rejects.toThrow(why)
      await expect(readModel(folder)).rejects.toThrow(why)
    }
    const { modified } = teacher.reference!.files['model.safetensors']!
    const restore = () => {
      cpSync(kept, file)
      utimesSync(file, modified / 1000, modified / 1000)
    }

    renameSync(path, `${path}-moved`)
    await refused(/it is not there any more/)
    expect(await quickly()).toEqual({ file, why: 'it is not there any more' })
    renameSync(`${path}-moved`, path)
    expect(await quickly()).toBeUndefined()

    writeFileSync(file, Buffer.alloc(100))
    await refused(/it has 100 bytes and had \d+/)
    expect((await quickly())!.why).toMatch(/it has 100 bytes/)

    const other = readFileSync(kept)
    other[other.length - 3]! ^= 1
    writeFileSync(file, other)
    await refused(/its content is another; expected SHA-256/)
    expect((await quickly())!.why).toMatch(/its content is another/)
    // A quick look trusts a time that is as it was; whoever computes with the weights does not.
    utimesSync(file, modified / 1000, modified / 1000)
    await refused(/its content is another/)

    restore()
    utimesSync(file, 1, 1)
    expect(await quickly()).toBeUndefined()
    expect((await readTeacher(dataDir, teacher)).config.family).toBe('qwen2')
    // A row of another model than the run has recorded.
    await expect(readTeacher(dataDir, { ...teacher, digest: '0'.repeat(64) })).rejects.toThrow(/have changed/)
  })

  it('is one of safetensors, and of a folder of ours names no file elsewhere', async () => {
    const job = {
      kind: 'import-teacher' as const,
      dataDir: join(root, 'none'),
      threads: 1,
      format: 'auto' as const,
    }
    const names = { id: 'm', name: 'm', tokenizerId: 't' }
    const path = join(root, 'model.onnx')
    writeFileSync(path, 'x')
    await expect(importTeacher({ ...job, ...names, path, reference: true }, () => {})).rejects.toThrow(
      `${path}: --reference: weights that stay where they are have to be safetensors; expected a Hugging Face folder, or hf:ORG/NAME`,
    )
    const { folder } = await imported('gpt2', true)
    const row = join(folder, LIBRARY_ROW)
    const { reference, ...rest } = readJson(row) as Teacher
    const outside = { '../x.safetensors': Object.values(reference!.files)[0]! }
    writeJsonAtomic(row, { ...rest, reference: { ...reference!, files: outside } })
    await expect(readModel(folder)).rejects.toThrow(/row\.json: reference\.files\.\.\.\/x/)
  })
})
