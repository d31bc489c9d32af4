import { valueAt } from './definitionText'
import { usesIn } from './teacherUses'

/** How the comparisons are told of a teacher. */
const COMPARED: Record<string, string> = {
  spans: 'by the probabilities of the text between common token boundaries',
  uld: 'by sorted probabilities at common token boundaries',
}

/** What is to be known of the chosen teachers whose tokenizer is not the student's, a sentence each. */
export function notesOnTeachers(
  text: string,
  teachers: readonly { name: string; tokenizer: string }[],
  tokenizers: readonly { id: string; name: string; digest: string; lossless: boolean }[],
): string[] {
  const names = usesIn(valueAt(text, 'teachers')).map(({ name }) => name)
  const chosen = teachers.filter(({ name }) => names.includes(name))
  const tokenizerOf = (id: string) => tokenizers.find((row) => row.id === id)
  const named = valueAt(text, 'tokenizer')
  const owner = teachers.find(({ name }) => name === named)
  const own = tokenizers.find(({ id, name }) => name === named || id === named || id === owner?.tokenizer)
  if (!own) {
    const distinct = new Set(chosen.map((teacher) => tokenizerOf(teacher.tokenizer)?.digest))
    return distinct.size > 1 ? ['These teachers have different tokenizers: choose the student’s.'] : []
  }
  const how = COMPARED[String(valueAt(text, 'loss.foreign.compare') ?? 'spans')] ?? ''
  return chosen.flatMap(({ name, tokenizer }) => {
    const its = tokenizerOf(tokenizer)
    if (!its || its.digest === own.digest) return []
    return its.lossless
      ? [`${name} has another tokenizer (${its.name}): it is compared ${how}.`]
      : [`${name} cannot teach here: text does not survive its tokenizer (${its.name}).`]
  })
}
