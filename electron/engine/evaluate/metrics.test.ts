import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../random'
import { corpusBleu, tokenize13a } from './bleu'
import { brierScore, expectedCalibrationError, reliability } from './calibration'
import { spearman } from './correlation'
import { meanRougeL, rougeL } from './rouge'

const oracles = process.env['RETORT_ORACLES']

/** What Python prints for the pairs, or undefined (said aloud) where it or a package is missing. */
function ask(program: string, pairs: unknown): number | undefined {
  if (!oracles) {
    console.warn(
      'SKIPPED: comparison with sacrebleu and rouge-score needs RETORT_ORACLES, a Python with both',
    )
    return undefined
  }
  try {
    return Number(execFileSync(oracles, ['-c', program], { input: JSON.stringify(pairs), stdio: 'pipe' }))
  } catch (error) {
    if (!String(error).includes('ModuleNotFoundError')) throw error
    console.warn(`SKIPPED: ${oracles} lacks sacrebleu or rouge-score`)
    return undefined
  }
}

/** Pairs that share much: the second is the first with words dropped, swapped and replaced. */
function generatedPairs(seed: number, count = 200): { hypotheses: string[]; references: string[] } {
  const random = createRandom(seed, 'pairs')
  const pieces = (
    'the a cat Dog sat, ran. on U.S. 3.14 1,000 12-3 well-known (maybe) "yes" isn\'t &amp; &lt;b&gt; 50% $5.00 ' +
    'Köln naïve 日本 — … a/b end; x=y [1] {2} ~ ` _ and/or Mr. e.g., -5 . , <skipped> İstanbul \u00a0 C3PO'
  ).split(' ')
  const pick = () => pieces[random.integer(pieces.length)]!
  const hypotheses: string[] = []
  const references: string[] = []
  for (let i = 0; i < count; i++) {
    const reference = Array.from({ length: 1 + random.integer(25) }, pick)
    const changed = reference.flatMap((word) => {
      const draw = random.next()
      return draw < 0.1 ? [] : draw < 0.2 ? [pick()] : draw < 0.25 ? [word, pick()] : [word]
    })
    hypotheses.push(changed.join(random.next() < 0.1 ? '\n' : ' '))
    references.push(reference.join(' '))
  }
  return { hypotheses, references }
}

describe('BLEU', () => {
  it('splits as mteval-v13a does', () => {
    expect(tokenize13a('Mr. Smith paid $1,000.50, in 1990-95.')).toEqual(
      'Mr . Smith paid $ 1,000.50 , in 1990 - 95 .'.split(' '),
    )
    expect(tokenize13a('&quot;well-known&quot; a/b &amp;')).toEqual('" well-known " a / b &'.split(' '))
  })

  it('gives what is computed by hand', () => {
    const text = 'the cat sat on the mat today'
    expect(corpusBleu([text], [text])).toBeCloseTo(100, 10)
    // Precisions 5/6, 3/5, 2/4, 1/3; hypothesis of 6 tokens against 7.
    const value = 100 * Math.exp(1 - 7 / 6) * ((5 / 6) * (3 / 5) * (2 / 4) * (1 / 3)) ** 0.25
    expect(corpusBleu(['the cat sat on a mat'], [text])).toBeCloseTo(value, 10)
    // No 3-gram and no 4-gram matches: 1 / (2 * 3) and 1 / (4 * 2).
    const smoothed = 100 * ((4 / 5) * (1 / 4) * (1 / 6) * (1 / 8)) ** 0.25
    expect(corpusBleu(['a b x c d'], ['a b y d c'])).toBeCloseTo(smoothed, 10)
    expect(corpusBleu(['nothing alike'], ['wholly other words'])).toBe(0)
    expect(corpusBleu([''], ['something'])).toBe(0)
  })

  it("equals sacrebleu's on generated pairs", () => {
    const program =
      'import json,sys,sacrebleu\nd=json.load(sys.stdin)\nprint(repr(sacrebleu.corpus_bleu(d["hypotheses"],[d["references"]]).score))'
    for (const [seed, count] of [
      [1, 200],
      [2, 200],
      [3, 2],
    ] as const) {
      const pairs = generatedPairs(seed, count)
      const expected = ask(program, pairs)
      if (expected === undefined) return
      expect(corpusBleu(pairs.hypotheses, pairs.references)).toBeCloseTo(expected, 6)
    }
  })
})

describe('ROUGE-L', () => {
  it('gives what is computed by hand', () => {
    // Common subsequence "police the gunman" of 4 and 4 words.
    expect(rougeL('police kill the gunman', 'Police killed the gunman!')).toBeCloseTo(3 / 4, 10)
    expect(rougeL('a b c', 'c b a d e')).toBeCloseTo((2 * 1) / 8, 10)
    expect(rougeL('', 'a')).toBe(0)
    expect(rougeL('日本', '日本')).toBe(0)
  })

  it("equals rouge-score's on generated pairs", () => {
    const program =
      'import json,sys\nfrom rouge_score import rouge_scorer\nd=json.load(sys.stdin)\ns=rouge_scorer.RougeScorer(["rougeL"])\nv=[s.score(r,h)["rougeL"].fmeasure for h,r in zip(d["hypotheses"],d["references"])]\nprint(repr(sum(v)/len(v)))'
    const pairs = generatedPairs(4)
    const expected = ask(program, pairs)
    if (expected === undefined) return
    expect(meanRougeL(pairs.hypotheses, pairs.references)).toBeCloseTo(expected, 8)
  })
})

describe('calibration', () => {
  it('cuts bins of equal mass and sums their gaps', () => {
    const confidence = [0.9, 0.2, 0.8, 0.3, 0.6]
    const correct = [1, 0, 0, 1, 1]
    // Sorted 0.2 0.3 | 0.6 0.8 0.9: confidences 0.25 and 2.3 / 3, accuracies 1/2 and 2/3.
    const bins = reliability(confidence, correct, 2)
    expect(bins.map(({ count }) => count)).toEqual([2, 3])
    expect(bins[0]!.confidence).toBeCloseTo(0.25, 12)
    expect(bins[1]!.accuracy).toBeCloseTo(2 / 3, 12)
    expect(expectedCalibrationError(bins)).toBeCloseTo((2 / 5) * 0.25 + (3 / 5) * 0.1, 12)
  })

  it('is zero for a model whose confidence is its accuracy, and the gap for one that boasts', () => {
    const random = createRandom(1, 'calibration')
    const confidence = Array.from({ length: 60_000 }, () => random.next())
    const honest = confidence.map((p) => Number(random.next() < p))
    expect(expectedCalibrationError(reliability(confidence, honest))).toBeLessThan(0.01)
    const certain = confidence.map(() => 0.99)
    const half = confidence.map((_, i) => i % 2)
    expect(expectedCalibrationError(reliability(certain, half))).toBeCloseTo(0.49, 6)
  })

  it('scores as Brier does', () => {
    // p = (0.7, 0.2, 0.1), label 0: 0.09 + 0.04 + 0.01; label 2: 0.49 + 0.04 + 0.81.
    expect(brierScore([0.54, 0.54], [0.7, 0.1])).toBeCloseTo((0.14 + 1.34) / 2, 12)
  })
})

describe('rank correlation', () => {
  it('gives what is computed by hand, with ties', () => {
    expect(spearman([1, 2, 3, 4], [10, 100, 1000, 10000])).toBeCloseTo(1, 12)
    expect(spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7])).toBeCloseTo(0.8207826816681233, 12)
    expect(spearman([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1, 12)
    expect(spearman([1, 2, 3], [4, 4, 4])).toBeNull()
  })
})
