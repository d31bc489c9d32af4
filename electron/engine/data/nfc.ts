/**
 * Marks and letters that normalisation knows since Unicode 10 and Hugging Face's library, whose tables are of Unicode 9,
 * does not: they neither change places with other marks nor join with what stands beside them there.
 */
const LATER = new RegExp(
  `[${[
    '7fd 897-89f 8ca-8d3 9fe c3c d3b-d3c eba 1715 1abf-1add 1ae0-1aeb 1df6-1dfa a82c 10d24-10d27 10d69-10d6d',
    '10eab-10eac 10efa-10efb 10efd-10eff 10f46-10f50 10f82-10f85 11070 1133b 113ce-113d0 1145e 11839-1183a',
    '1193d-1193e 11943 119e0 11a34 11a47 11a99 11d42 11d44-11d45 11d97 11f41-11f42 1612f 16ff0-16ff1 1e08f',
    '1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3 1e6e6 1e6ee-1e6ef 1e6f5',
    '105d2 105da 11382 11384 1138b 11390 113b8 113bb 113c2 113c9 11930 11935 1611e-16120 16129 16d63 16d67',
  ]
    .join(' ')
    .split(' ')
    .map((range) => range.replace(/[0-9a-f]+/g, '\\u{$&}'))
    .join('')}]`,
  'u',
)
const SINGLE = new RegExp(`(${LATER.source})`, 'u')

/** Canonical composition (NFC) by the tables of Unicode 9. */
export function composed(text: string): string {
  if (!LATER.test(text)) return text.normalize('NFC')
  return text
    .split(SINGLE)
    .map((part, i) => (i % 2 ? part : part.normalize('NFC')))
    .join('')
}
