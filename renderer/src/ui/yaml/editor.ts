import { autocompletion, completionKeymap, type Completion } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { yaml } from '@codemirror/lang-yaml'
import { HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language'
import { lintGutter, setDiagnostics } from '@codemirror/lint'
import { EditorState } from '@codemirror/state'
import { drawSelection, EditorView, hoverTooltip, keymap, lineNumbers } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { placeAt, type Place } from './place'

/** Something wrong, from a letter to behind another. */
export interface Fault {
  from: number
  to: number
  message: string
}

/** Something that can be written at a place. */
export interface Suggestion {
  text: string
  /** In a word what it is. */
  detail?: string
  help?: string
}

/** What an editor knows of the documents that are written in it. */
export interface Knowledge {
  suggest(place: Place): readonly Suggestion[]
  /** What a setting is for; undefined of one that is not known. */
  help(path: readonly string[]): string | undefined
}

export interface Editor {
  /** Takes another text in; the same one changes nothing. */
  write(text: string): void
  show(faults: readonly Fault[]): void
  /** Has the keyboard, and marks a part, scrolled into sight. */
  select(part?: readonly [from: number, to: number]): void
  close(): void
}

/** Opens an editor of YAML below `parent`. */
export function openEditor(
  parent: HTMLElement,
  label: string,
  text: string,
  knowledge: Knowledge | undefined,
  onChange: (text: string) => void,
): Editor {
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        indentOnInput(),
        yaml(),
        syntaxHighlighting(colours),
        theme,
        lintGutter(),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false' }),
        EditorView.updateListener.of(({ docChanged, state }) => docChanged && onChange(state.doc.toString())),
        // Tab is not taken: it leads out of the editor, as out of every field.
        keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
        ...(knowledge ? [suggestions(knowledge), helpUnderPointer(knowledge)] : []),
      ],
    }),
  })
  return {
    write(text) {
      const { doc } = view.state
      if (text !== doc.toString()) view.dispatch({ changes: difference(doc.toString(), text) })
    },
    show(faults) {
      const { length } = view.state.doc
      const diagnostics = faults.map(({ from, to, message }) => ({
        from: Math.min(from, length),
        to: Math.min(to, length),
        message,
        severity: 'error' as const,
      }))
      view.dispatch(setDiagnostics(view.state, diagnostics))
    },
    select(part) {
      view.focus()
      if (!part) return
      const [anchor, head] = part
      view.dispatch({
        selection: { anchor, head },
        effects: EditorView.scrollIntoView(anchor, { y: 'center' }),
      })
    },
    close: () => view.destroy(),
  }
}

/** The least change that makes one text of another: the caret stays where nothing has changed. */
function difference(old: string, text: string): { from: number; to: number; insert: string } {
  const shorter = Math.min(old.length, text.length)
  let start = 0
  while (start < shorter && old[start] === text[start]) start++
  let end = 0
  while (end < shorter - start && old.at(-1 - end) === text.at(-1 - end)) end++
  return { from: start, to: old.length - end, insert: text.slice(start, text.length - end) }
}

function suggestions(knowledge: Knowledge) {
  return autocompletion({
    icons: false,
    override: [
      ({ state, pos, explicit }) => {
        const place = placeAt(state.doc.toString(), pos)
        if (!place || (!explicit && place.from === pos)) return null
        const options = knowledge.suggest(place).map(({ text, detail, help }): Completion => ({
          label: text.replace(/:\s*$/, ''),
          apply: text,
          ...(detail && { detail }),
          ...(help && { info: help }),
        }))
        return options.length ? { from: place.from, options, validFor: /^[\w.-]*$/ } : null
      },
    ],
  })
}

const helpUnderPointer = (knowledge: Knowledge) =>
  hoverTooltip((view, pos) => {
    const word = view.state.wordAt(pos)
    const text = view.state.doc.toString()
    const place = word && placeAt(text, word.from)
    if (!word || place?.kind !== 'key' || text[word.to] !== ':') return null
    const help = knowledge.help([...place.path, text.slice(word.from, word.to)])
    if (!help) return null
    return {
      pos: word.from,
      end: word.to,
      create: () => {
        const dom = document.createElement('div')
        dom.className = 'cm-help'
        dom.textContent = help
        return { dom }
      },
    }
  })

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--ui-primary)' },
  { tag: [tags.string, tags.content], color: 'var(--ui-text)' },
  { tag: tags.comment, color: 'var(--ui-text-muted)' },
  { tag: [tags.punctuation, tags.separator, tags.bracket], color: 'var(--ui-text-muted)' },
])

const theme = EditorView.theme({
  '&': { color: 'var(--ui-text)', fontSize: '0.875rem', maxHeight: 'inherit' },
  '&.cm-focused': { outline: '2px solid var(--ui-primary)', outlineOffset: '-1px', borderRadius: 'inherit' },
  '.cm-scroller': { fontFamily: 'var(--font-mono)', lineHeight: '1.5', overflow: 'auto' },
  '.cm-content': { caretColor: 'var(--ui-text-highlighted)', minHeight: '6rem' },
  '.cm-cursor': { borderLeftColor: 'var(--ui-text-highlighted)' },
  '.cm-gutters': {
    backgroundColor: 'transparent',
    color: 'var(--ui-text-muted)',
    borderRight: '1px solid var(--ui-border)',
  },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'color-mix(in oklab, var(--ui-primary) 25%, transparent)',
  },
  '.cm-tooltip': {
    backgroundColor: 'var(--ui-bg)',
    color: 'var(--ui-text)',
    border: '1px solid var(--ui-border-accented)',
    borderRadius: 'var(--ui-radius)',
    fontFamily: 'var(--font-sans)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--font-mono)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    backgroundColor: 'var(--ui-primary)',
    color: 'var(--ui-bg)',
  },
  '.cm-completionDetail': { fontStyle: 'normal', opacity: 1 },
  '.cm-completionInfo, .cm-help': { padding: '0.375rem 0.625rem', maxWidth: '24rem', fontSize: '0.875rem' },
})
