import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeConversation } from './conversationTokens'
// Made by conversations.py beside it: transformers 5.24.
import byTransformers from './fixtures/conversations.json'
import { ownTemplate } from './templates'
import { openTokenizer } from './tokenizer'

const families = resolve(import.meta.dirname, '../../../../shared/data/families')
const there = existsSync(families)
if (!there) console.warn('SKIPPED: chat templates beside transformers need ../shared/data/families')

const folder = mkdtempSync(join(tmpdir(), 'retort-templates-'))
const file = join(folder, 'tokenizer.json')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A template beside a tokenizer. */
function template(source: string) {
  const settings = { chat_template: source, bos_token: '<s>', eos_token: { content: '</s>' } }
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(settings))
  return ownTemplate(file)!
}

describe.skipIf(!there).each(Object.entries(byTransformers.written))(
  "%s's chat template",
  (name, written) => {
    it("gives transformers' tokens, and its mask of the assistant's", () => {
      copyFileSync(join(families, name, 'tokenizer.json'), file)
      const tokenizer = openTokenizer(file, 'huggingface')
      for (const [i, turns] of byTransformers.conversations.entries()) {
        const { ids, mask } = encodeConversation(tokenizer, template(byTransformers.template), turns)
        expect([...ids], `conversation ${i}`).toEqual(written[i]!.ids)
        expect([...mask], `conversation ${i}`).toEqual(written[i]!.mask)
      }
    })
  },
)

it('knows no date, says why it refuses a turn, and is refused itself where it is none', () => {
  const dated = template("{{ strftime_now('%Y') if strftime_now is defined else 'never' }}")
  expect(dated.render([], false)).toBe('never')
  const turns = [{ role: 'tool', content: 'x' }]
  expect(() => template(byTransformers.template).render(turns, false)).toThrow('no such role here: tool')
  expect(() => template('{% for %}')).toThrow(
    /chat template cannot be read.*tokenizer.json|tokenizer.json.*chat template/,
  )
})
