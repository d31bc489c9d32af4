import { describe, expect, it } from 'vitest'
import { notesOnTeachers } from './teacherNotes'

const tokenizers = [
  { id: 'a', name: 'a', digest: '1', lossless: true },
  { id: 'b', name: 'b', digest: '2', lossless: true },
  { id: 'c', name: 'c', digest: '3', lossless: false },
]
const teachers = [
  { name: 'cook', tokenizer: 'a' },
  { name: 'baker', tokenizer: 'b' },
  { name: 'deaf', tokenizer: 'c' },
]
const notes = (text: string) => notesOnTeachers(text, teachers, tokenizers)

describe('what is said of chosen teachers', () => {
  it('is nothing while all have the student’s tokenizer', () => {
    expect(notes('teachers: [cook]')).toEqual([])
    expect(notes('teachers: [cook]\ntokenizer: a')).toEqual([])
    expect(notes('name: x')).toEqual([])
  })

  it('is that the student’s tokenizer must be chosen where they differ', () => {
    expect(notes('teachers: [cook, baker]')).toEqual([expect.stringContaining('choose the student’s')])
  })

  it('is how a teacher of another tokenizer is compared, and that a lossy one cannot teach', () => {
    const text = 'teachers: [cook, baker, deaf]\ntokenizer: cook'
    expect(notes(text)).toEqual([
      expect.stringMatching(/^baker has another tokenizer \(b\): .*text between common token boundaries/),
      expect.stringMatching(/^deaf cannot teach here: .*\(c\)/),
    ])
    expect(notes(`${text}\nloss: { foreign: { compare: uld } }`)[0]).toContain('sorted probabilities')
  })
})
