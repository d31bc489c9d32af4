import type { FieldGroup } from '../experiments/field'
import { groups } from '../experiments/form'
import { studentGroup } from '../experiments/studentFields'

const trained = groups.find(({ title }) => title === 'Training')!

/** What a teacher that is trained here is: the settings that it shares with a student are the same fields. */
export const teacherGroups: readonly FieldGroup[] = [
  {
    title: 'Data',
    fields: [
      { path: 'name', label: 'Name', help: 'It teaches under this name', kind: 'text', wide: true },
      { path: 'corpus', label: 'Corpora', help: 'What it will know', kind: 'corpus', wide: true },
      {
        path: 'tokenizer',
        label: 'Tokenizer',
        help: 'Teachers that share one can teach a student together, token by token',
        kind: 'tokenizer',
      },
    ],
  },
  {
    title: 'Model',
    fields: studentGroup.fields.flatMap(({ when, ...field }) =>
      when === 'sizes' && field.path !== 'student.init'
        ? [{ ...field, path: field.path.replace('student.', 'model.') }]
        : [],
    ),
  },
  trained,
]
