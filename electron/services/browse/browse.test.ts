import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { browse } from '.'

let around: string
let root: string
beforeAll(() => {
  around = realpathSync(mkdtempSync(join(tmpdir(), 'retort-')))
  root = join(around, 'root')
  for (const folder of ['root/b/inner', 'root/a10', 'root/a9', 'root/.hidden', 'root-2', 'secret'])
    mkdirSync(join(around, folder), { recursive: true })
  writeFileSync(join(root, 'text.txt'), '12345')
  writeFileSync(join(root, '.key'), 'key')
  writeFileSync(join(around, 'secret', 'key.txt'), 'key')
  symlinkSync(join(around, 'secret'), join(root, 'leads-out'))
  symlinkSync(join(root, 'b'), join(root, 'leads-in'))
  symlinkSync(join(root, 'nowhere'), join(root, 'broken'))
})
afterAll(() => rmSync(around, { recursive: true, force: true }))

describe('folders of the host', () => {
  it('are listed by name, folders first, without what is hidden, broken or leads out', async () => {
    const { path, parent, entries, more } = await browse(root)
    expect([path, parent, more]).toEqual([root, undefined, 0])
    expect(entries.map(({ name, kind, bytes }) => [name, kind, bytes])).toEqual([
      ['a9', 'folder', undefined],
      ['a10', 'folder', undefined],
      ['b', 'folder', undefined],
      ['leads-in', 'folder', undefined],
      ['text.txt', 'file', 5],
    ])
    const inner = await browse(root, join(root, 'b'))
    expect(inner).toMatchObject({
      parent: root,
      entries: [{ name: 'inner', path: join(root, 'b', 'inner') }],
    })
  })

  it.each([
    ['by two dots', () => join(root, 'b', '..', '..', 'secret')],
    ['by the beginning of its name', () => join(around, 'root-2')],
    ['through a link', () => join(root, 'leads-out')],
    ['above', () => around],
    ['at the top', () => '/'],
  ])('outside the root are not: %s', async (_, folder) => {
    await expect(browse(root, folder())).rejects.toThrow('outside the folder that may be browsed')
  })

  it('say why they cannot be listed', async () => {
    await expect(browse(root, join(root, 'nowhere'))).rejects.toThrow(`there is no ${join(root, 'nowhere')}`)
    await expect(browse(root, join(root, 'text.txt'))).rejects.toThrow('is a file')
    await expect(browse(root, 'b')).rejects.toThrow('no absolute path')
    await expect(browse(join(root, 'nowhere'))).rejects.toThrow('browseRoot')
  })

  it('may be all of the machine where that is allowed, and a long one says how much it leaves out', async () => {
    expect((await browse('/', root)).path).toBe(root)
    const many = join(around, 'many')
    mkdirSync(many)
    for (let i = 0; i < 1003; i++) writeFileSync(join(many, `${i}`), '')
    const { entries, more } = await browse(many)
    expect([entries.length, more, entries[2]!.name]).toEqual([1000, 3, '2'])
  })
})
