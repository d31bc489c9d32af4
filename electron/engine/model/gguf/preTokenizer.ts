import { badInput } from '#contract'

/** What a tokenizer does with a text before it looks for merges. */
export interface Pipeline {
  normalizer?: unknown
  pre_tokenizer?: unknown
  ignoreMerges: boolean
  file: string
}

interface Step {
  type: string
  [key: string]: unknown
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const REST = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
/** The patterns of Llama 3 and of Qwen 2, which differ in how many digits stay together. */
const patternOf = (digits: string) => `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}|${REST}`
const LLAMA3 = patternOf('\\p{N}{1,3}')
const QWEN2 = patternOf('\\p{N}')
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/**
 * llama.cpp's name for how a byte-level tokenizer cuts a text into words.
 *
 * @throws bad-input where it has none
 */
export function byteLevelPre({ normalizer, pre_tokenizer: raw, ignoreMerges, file }: Pipeline): string {
  const refused = (field: string, why: string) =>
    badInput(why, { file, field, expected: 'one of GPT-2, SmolLM, Llama 3 or Qwen 2; or --format hf' })
  // llama.cpp does not compose letters and marks; most text is composed.
  if (stepsOf(normalizer, 'normalizers').some(({ type }) => type !== 'NFC'))
    throw refused('normalizer', 'llama.cpp does not change a text before it cuts it')
  const steps = stepsOf(raw, 'pretokenizers')
  const key = steps.map(said).join(' ')
  const pre = Object.hasOwn(KNOWN, key) ? KNOWN[key] : undefined
  if (!pre) throw refused('pre_tokenizer', 'llama.cpp has no such way to cut a text into words')
  if (pre === 'llama-bpe') return ignoreMerges ? pre : 'dbrx'
  if (ignoreMerges) throw refused('model.ignore_merges', 'llama.cpp applies the merges of such a tokenizer')
  return pre
}

const KNOWN: Readonly<Record<string, string>> = {
  words: 'gpt-2',
  'split-gpt2 bytes': 'gpt-2',
  'digits words': 'smollm',
  'split-llama3 bytes': 'llama-bpe',
  'split-qwen2 bytes': 'qwen2',
}

function said(step: Step): string {
  if (step.type === 'ByteLevel' && step['add_prefix_space'] !== true)
    return step['use_regex'] === false ? 'bytes' : 'words'
  if (step.type === 'Digits' && step['individual_digits'] === true) return 'digits'
  if (step.type === 'Split' && step['behavior'] === 'Isolated' && step['invert'] !== true) {
    const pattern = (step['pattern'] as { Regex?: string } | undefined)?.Regex
    if (pattern === LLAMA3) return 'split-llama3'
    if (pattern === QWEN2) return 'split-qwen2'
    if (pattern === GPT2) return 'split-gpt2'
  }
  return step.type
}

/**
 * Whether a tokenizer of SentencePiece's kind puts a space before a text.
 *
 * @throws bad-input where it does something else to the text, too
 */
export function spacePrefix({ normalizer, pre_tokenizer: raw, file }: Pipeline): boolean {
  const refused = (field: string) =>
    badInput('llama.cpp writes spaces as low lines and does nothing else to a text', {
      file,
      field,
      expected: 'a tokenizer of Llama 2, Mistral or Gemma; or --format hf',
    })
  let [prefix, replaced] = [false, false]
  for (const step of stepsOf(normalizer, 'normalizers')) {
    if (step.type === 'Prepend' && step['prepend'] === '▁') prefix = true
    else if (step.type === 'Replace' && step['content'] === '▁' && isSpace(step)) replaced = true
    else throw refused('normalizer')
  }
  for (const step of stepsOf(raw, 'pretokenizers')) {
    if (step.type === 'Metaspace' && step['replacement'] === '▁' && step['split'] === false) {
      replaced = true
      prefix ||= step['prepend_scheme'] !== 'never'
    } else if (step.type !== 'Split' || !replaced || !isSpace(step)) throw refused('pre_tokenizer')
  }
  if (!replaced) throw refused('normalizer')
  return prefix
}

/** Gemma's tokenizers also cut at spaces, of which none is left by then. */
function isSpace(step: Step): boolean {
  return (step['pattern'] as { String?: string } | undefined)?.String === ' '
}

/** One step, or those of a sequence. */
function stepsOf(raw: unknown, list: string): Step[] {
  if (!raw) return []
  const step = raw as Step
  return step.type === 'Sequence' ? ((step[list] as Step[] | undefined) ?? []) : [step]
}
