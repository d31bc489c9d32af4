import { useOverlay, useToast } from '@nuxt/ui/composables'
import { BIN_DAYS, type BinNoun, type Use } from '#contract'
import { call } from '../api/client'
import { useAction } from './action'
import AskQuestion from './AskQuestion.vue'
import { plural } from './format'

interface Thing {
  id: string
  name: string
}

const words: Record<BinNoun, [one: string, several: string]> = {
  experiments: ['experiment', 'experiments'],
  corpora: ['corpus', 'corpora'],
  teachers: ['teacher', 'teachers'],
  grids: ['grid', 'grids'],
  runs: ['run', 'runs'],
  reports: ['report', 'reports'],
}
/** One of a kind, in words. */
export const wordOf = (noun: BinNoun) => words[noun][0]

/** Corpora and teachers have no page of their own: the list shows what has the name. */
export const pageOf = ({ noun, id, name }: Pick<Use, 'noun' | 'id' | 'name'>) =>
  noun === 'corpora' || noun === 'teachers' ? `/${noun}?filter=${encodeURIComponent(name)}` : `/${noun}/${id}`

/** A question that is answered by yes or no. */
export function useQuestion() {
  const overlay = useOverlay()
  return async (question: { title: string; description: string; label: string; items?: Use[] }) => {
    const items = question.items?.map((use) => ({ name: use.name, says: use.says, to: pageOf(use) }))
    // One for each question: what is destroyed when it closes does not open again.
    const modal = overlay.create(AskQuestion, { destroyOnClose: true })
    return (await modal.open({ ...question, items }).result) === true
  }
}

/** A message that what was done can be taken back for a while. */
export function useUndo() {
  const toast = useToast()
  const { act } = useAction()
  return (title: string, description: string, undo: () => Promise<unknown>) =>
    toast.add({
      title,
      description,
      icon: 'i-lucide-trash-2',
      color: 'neutral',
      duration: 12_000,
      actions: [
        {
          label: 'Undo',
          color: 'neutral',
          variant: 'outline',
          onClick: () => void act('It could not be put back', undo),
        },
      ],
    })
}

/** Moves things to the bin: asks first where something refers to them, and offers the way back. */
export function useRemoval() {
  const { busy, act } = useAction()
  const ask = useQuestion()
  const offerUndo = useUndo()

  /** @returns whether they were removed */
  async function remove(noun: BinNoun, things: readonly Thing[]): Promise<boolean> {
    const [one, several] = words[noun]
    const what = things.length === 1 ? things[0]!.name : `${things.length} ${several}`
    const failed = `${things.length === 1 ? `The ${one}` : what} could not be removed`
    const done = await act(failed, async () => {
      const items = await call('bin.uses', { noun, ids: things.map(({ id }) => id) })
      if (items.length) {
        const yes = await ask({
          title: `Remove ${what}?`,
          description: `${plural(items.length, 'thing')} ${items.length === 1 ? 'refers' : 'refer'} to ${things.length === 1 ? 'it' : 'them'} and will no longer work as now.`,
          label: 'Move to the bin',
          items,
        })
        if (!yes) return []
      }
      const removed = []
      for (const { id } of things) removed.push(await call(`${noun}.remove`, { id }))
      return removed
    })
    if (!done?.length) return false
    offerUndo(
      `${what} is in the bin`.replace(/^(\d+ \w+) is/, '$1 are'),
      `Kept for ${BIN_DAYS} days: see Settings`,
      async () => {
        for (const { id } of done) await call('bin.restore', { id })
      },
    )
    return true
  }
  return { busy, remove }
}
