import { badInput, nearest, type Corpus, type Job } from '#contract'
import type { Progress } from '../../progress'
import { createRandom, type Random } from '../../random'
import { splitByPlace } from '../split'
import { writeCorpus } from '../writeCorpus'
import { domains, type Domain } from './domains'
import { derive } from './grammar'

/**
 * A document of a domain: lines, each followed by another with the domain's `goOn`. `bits` is the code length of its
 * text as a model is scored on it: every line and every decision to go on, but not the decision to end, which a
 * model's bits per byte leave out too (the next document's BOS is not scored).
 */
export function deriveDocument(domain: Domain, random: Random): { text: string; bits: number } {
  const lines: string[] = []
  let bits = 0
  do {
    const line = derive(domain.grammar, 'line', random)
    if (lines.length) bits -= Math.log2(domain.goOn)
    lines.push(line.text)
    bits += line.bits
  } while (random.next() < domain.goOn)
  return { text: lines.join('\n'), bits }
}

/**
 * Writes `bytes` of one domain to the library. The row's entropy floor is the exact code length of its held-out
 * documents over their bytes: the grammar is unambiguous, so no model of the text can have fewer bits on average.
 */
export async function generateCorpus(
  job: Extract<Job, { kind: 'generate-corpus' }>,
  progress: Progress,
): Promise<Corpus> {
  const domain = domains.find(({ name }) => name === job.domain)
  if (!domain) {
    const names = domains.map(({ name }) => name)
    const hint = nearest(job.domain, names)
    throw badInput(`there is no domain "${job.domain}"`, {
      field: 'domain',
      expected: hint ?? names.join(', '),
    })
  }
  const heldOut = { bits: 0, bytes: 0 }
  function* documents(): Generator<string> {
    const random = createRandom(job.seed, `grammar/${domain!.name}`)
    for (let i = 0, bytes = 0; bytes < job.bytes; i++) {
      const { text, bits } = deriveDocument(domain!, random)
      const size = Buffer.byteLength(text)
      if (splitByPlace(i) === 'held-out') {
        heldOut.bits += bits
        heldOut.bytes += size
      }
      bytes += size
      progress(`writing ${domain!.name}`, Math.min(1, bytes / job.bytes))
      yield text
    }
  }
  const row = { id: job.id, name: job.name, source: `synthetic:${domain.name}` }
  const corpus = await writeCorpus(job.dataDir, row, documents(), () => ({
    format: 'synthetic',
    byPlace: true,
  }))
  return { ...corpus, entropyFloor: heldOut.bytes ? heldOut.bits / heldOut.bytes : undefined }
}

export { domains } from './domains'
