/**
 * ROUGE-L of one pair, 0..1 (Lin 2004): F1 of the longest common subsequence of lower-cased words of letters a-z and
 * digits. Equal to the package rouge-score's `rougeL` without stemming.
 */
export function rougeL(prediction: string, reference: string): number {
  const [own, true_] = [words(prediction), words(reference)]
  if (!own.length || !true_.length) return 0
  const common = commonSubsequence(own, true_)
  return (2 * common) / (own.length + true_.length)
}

/** Mean ROUGE-L over pairs, 0..1. */
export function meanRougeL(predictions: readonly string[], references: readonly string[]): number {
  const total = predictions.reduce((sum, text, i) => sum + rougeL(text, references[i]!), 0)
  return total / predictions.length
}

function words(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? []
}

/** Length of the longest common subsequence, two rows at a time. */
function commonSubsequence(a: readonly string[], b: readonly string[]): number {
  let previous = new Uint32Array(b.length + 1)
  for (const word of a) {
    const row = new Uint32Array(b.length + 1)
    for (const [j, other] of b.entries()) {
      row[j + 1] = word === other ? previous[j]! + 1 : Math.max(previous[j + 1]!, row[j]!)
    }
    previous = row
  }
  return previous[b.length]!
}
