import { badInput, type RetortError } from '#contract'

const PICKLE = /\.(bin|pt|pth|ckpt)$/

/** The first of a folder's files that holds weights as a pickle. */
export function pickleAmong(files: readonly string[]): string | undefined {
  return files.find((name) => PICKLE.test(name))
}

/** A pickle is a program: reading one runs it. */
export function refusePickle(file: string): RetortError {
  return badInput('the weights are a pickle, which runs code when it is read', {
    file,
    expected:
      'model.safetensors: in Python, AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OTHER) writes it',
  })
}
