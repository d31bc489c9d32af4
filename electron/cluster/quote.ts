/** A word for a POSIX shell: any text without a zero byte, taken literally. */
export function quote(word: string): string {
  if (word.includes('\0')) throw new Error('a shell word holds no zero byte')
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

export function quoteAll(words: readonly string[]): string {
  return words.map(quote).join(' ')
}
