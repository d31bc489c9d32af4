import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { badInput, type RetortError } from '#contract'
import { readJson } from '../../files'

const ADAPTER_FILES = ['adapter_config.json', 'adapter_model.safetensors', 'adapter_model.bin']

/** The first of some files that is of an adapter, as PEFT writes it. */
export function adapterAmong(files: readonly string[]): string | undefined {
  return ADAPTER_FILES.find((name) => files.includes(name))
}

/**
 * An adapter is no model, and beside whole weights it makes another one of them, which transformers would compute.
 *
 * @param base the name of the model that it stands beside, where it is known
 */
export function refuseAdapter(file: string, base?: string): RetortError {
  return badInput(`it is an adapter${base ? ` of ${base}` : ''}, which is not merged here`, {
    file,
    expected:
      'the whole model: in Python, AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(OTHER) writes it; or a folder without adapter_config.json and adapter_model',
  })
}

/** @throws bad-input when an adapter lies in the folder */
export function checkNoAdapter(folder: string): void {
  const found = ADAPTER_FILES.find((name) => existsSync(join(folder, name)))
  if (!found) return
  const config = join(folder, ADAPTER_FILES[0]!)
  const said = existsSync(config) ? (readJson(config) as Record<string, unknown> | null) : undefined
  const base = said?.['base_model_name_or_path']
  throw refuseAdapter(join(folder, found), typeof base === 'string' ? base : undefined)
}
