/** A field of the form: a path of the definition, with what a person needs to know to set it. */
export interface Field {
  path: string
  label: string
  help: string
  kind:
    | 'number'
    | 'numbers'
    | 'text'
    | 'choice'
    | 'teachers'
    | 'tokenizer'
    | 'corpus'
    | 'model'
    | 'adapters'
    | 'routes'
  choices?: readonly string[]
  /** The schema's default, shown where nothing is set. */
  fallback?: string | number
  /** What a picker says where nothing is chosen. */
  empty?: string
  /**
   * Where it means something: for students that begin as a model, those of them with adapters, the others; where there
   * are several corpora; for students that write some of their text, and of them those that do not write all.
   */
  when?: 'from' | 'lora' | 'sizes' | 'writes' | 'mixed' | 'mixture'
  /** The value of another setting, by itself or by the method, without which it says nothing. */
  only?: { path: string; is: readonly string[] }
  /** As wide as its group. */
  wide?: boolean
}

export interface FieldGroup {
  title: string
  /** Folded until something of it is set. */
  rare?: boolean
  fields: readonly Field[]
}
