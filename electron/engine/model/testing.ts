import { families, studentArchitecture, type ModelConfig } from '#contract'

/** Families whose heads have keys of their own each. */
const UNGROUPED: readonly string[] = ['gpt2', 'gpt_neox', 'opt']

/** A student of these sizes of each family, whose heads share keys by twos where the family's may. */
export const ofFamilies = (base: ModelConfig): [family: string, ModelConfig][] =>
  families.map((family) => {
    const kvHeads = UNGROUPED.includes(family) ? 2 : 1
    const own = studentArchitecture(family, base)
    return [family, { ...base, family, kvHeads, ...(own && { architecture: own }) }]
  })
