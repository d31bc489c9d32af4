/** Longest n-gram that counts. */
const ORDER = 4

/** What Python's `str.split()` splits at; JavaScript's \s differs in a few characters. */
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u

/**
 * Tokens of a line as mteval-v13a counts them: punctuation stands alone, but for periods, commas and dashes next to
 * digits. The rules and their order are those of sacreBLEU's `13a`.
 */
export function tokenize13a(line: string): string[] {
  const plain = line
    .trimEnd()
    .replaceAll('<skipped>', '')
    .replaceAll('-\n', '')
    .replaceAll('\n', ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
  return ` ${plain} `
    .replace(/([{-~[-` -&(-+:-@/])/gu, ' $1 ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/gu, '$1 $2 ')
    .split(SPACE)
    .filter(Boolean)
}

/**
 * Corpus BLEU, 0..100 (Papineni et al. 2002): the geometric mean of the clipped n-gram precisions, n = 1..4, counted
 * over all pairs together, times the brevity penalty. An order without a match counts as 1 / (2^i total), i = 1, 2, ...
 * (`exp` smoothing). Equal to sacreBLEU with its defaults, one reference each.
 */
export function corpusBleu(hypotheses: readonly string[], references: readonly string[]): number {
  const matches = new Array<number>(ORDER).fill(0)
  const totals = new Array<number>(ORDER).fill(0)
  let length = 0
  let referenceLength = 0
  for (const [i, hypothesis] of hypotheses.entries()) {
    const own = tokenize13a(hypothesis)
    const true_ = tokenize13a(references[i]!)
    length += own.length
    referenceLength += true_.length
    for (let n = 1; n <= ORDER; n++) {
      const allowed = countNgrams(true_, n)
      for (const [ngram, count] of countNgrams(own, n)) {
        totals[n - 1]! += count
        matches[n - 1]! += Math.min(count, allowed.get(ngram) ?? 0)
      }
    }
  }
  if (!matches.some(Boolean) || !totals.every(Boolean)) return 0
  let halvings = 1
  const logs = matches.map((match, i) =>
    Math.log(match ? match / totals[i]! : 1 / (2 ** halvings++ * totals[i]!)),
  )
  const brevity = length < referenceLength ? Math.exp(1 - referenceLength / length) : 1
  return 100 * brevity * Math.exp(logs.reduce((a, b) => a + b) / ORDER)
}

function countNgrams(tokens: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (let i = 0; i + n <= tokens.length; i++) {
    const ngram = tokens.slice(i, i + n).join(' ')
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1)
  }
  return counts
}
