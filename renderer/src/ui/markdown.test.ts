import { expect, it } from 'vitest'
import { blocksOf } from './markdown'

const text = (of: string) => [{ is: 'text', text: of }]

it('reads headings, paragraphs, lists and code', () => {
  const note =
    '# Why\n\nFirst line\nand second.\n\n- a\n- b\n1. c\n\n```yaml\nx: *1*\n# no heading\n```\nafter'
  expect(blocksOf(note)).toEqual([
    { is: 'heading', level: 1, text: text('Why') },
    { is: 'paragraph', text: [...text('First line'), ...text(' '), ...text('and second.')] },
    { is: 'list', ordered: false, items: [text('a'), text('b')] },
    { is: 'list', ordered: true, items: [text('c')] },
    { is: 'code', text: 'x: *1*\n# no heading' },
    { is: 'paragraph', text: text('after') },
  ])
})

it('reads emphasis and code within a line, and leaves what is none', () => {
  expect(blocksOf('a **b** *c* `d*e*` 2 * 3 * 4')).toEqual([
    {
      is: 'paragraph',
      text: [
        { is: 'text', text: 'a ' },
        { is: 'strong', text: 'b' },
        { is: 'text', text: ' ' },
        { is: 'emphasis', text: 'c' },
        { is: 'text', text: ' ' },
        { is: 'code', text: 'd*e*' },
        { is: 'text', text: ' 2 * 3 * 4' },
      ],
    },
  ])
})

it('takes tags and links for letters, and code that is not closed for code', () => {
  expect(blocksOf('<img src=x onerror=alert(1)> [a](javascript:alert(1))')).toEqual([
    { is: 'paragraph', text: text('<img src=x onerror=alert(1)> [a](javascript:alert(1))') },
  ])
  expect(blocksOf('```\nrest')).toEqual([{ is: 'code', text: 'rest' }])
})
