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
  /**
   * Where it means something: for students that begin as a model, those of them with adapters, the others; where corpora
   * are routed to teachers; for students that write some of their text, and of them those that do not write all.
   */
  when?: 'from' | 'lora' | 'sizes' | 'routed' | 'writes' | 'mixed'
}

export interface FieldGroup {
  title: string
  fields: readonly Field[]
}
