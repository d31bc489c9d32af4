/** Puts the keyboard into a text and marks a part of it, scrolled into sight; without a part it stays where it was. */
export function selectIn(area: HTMLTextAreaElement, part?: readonly [from: number, to: number]): void {
  area.focus()
  if (!part) return
  area.setSelectionRange(...part)
  const line = area.value.slice(0, part[0]).split('\n').length - 1
  const height = parseFloat(getComputedStyle(area).lineHeight)
  // Two lines above it tell where it stands.
  if (Number.isFinite(height)) area.scrollTop = Math.max(0, (line - 2) * height)
}
