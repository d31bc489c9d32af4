/** The place of the token that an event comes from, in a list whose tokens have it as `data-index`. */
export function tokenIndex(event: Event): number | undefined {
  const token = (event.target as HTMLElement).closest<HTMLElement>('[data-index]')
  return token ? Number(token.dataset.index) : undefined
}

/** A token's text as it is read: line breaks stay, and are seen. */
export const tokenText = (text: string) => (text === '' ? '·' : text.replaceAll('\n', '⏎\n'))
