type Channels = readonly [number, number, number]

/** What lies under the cells, and the one hue laid over it the denser the better: of the light page and the dark one. */
const LOOKS = {
  light: { ground: [255, 255, 255], hue: [3, 105, 161] },
  dark: { ground: [24, 24, 27], hue: [56, 189, 248] },
} as const
const DENSEST = 0.9

export type HeatColors = {
  background: string
  color: string
}

/**
 * Colours of a heatmap's cell: one hue from faint to dense, so that those who see no hue see the order too, and black
 * or white letters, whichever can be read better on it.
 *
 * @param shade 0 to 1; null for a cell without a value
 */
export function heatColors(shade: number | null, dark: boolean): HeatColors {
  const { ground, hue } = dark ? LOOKS.dark : LOOKS.light
  if (shade === null) return { background: 'transparent', color: 'inherit' }
  const share = shade * DENSEST
  const mixed = ground.map((c, i) => Math.round(c + (hue[i]! - c) * share)) as unknown as Channels
  // Black and white have the same contrast to a luminance of 0.179.
  return { background: `rgb(${mixed.join(' ')})`, color: luminance(mixed) > 0.179 ? '#000' : '#fff' }
}

/** Relative luminance, 0 to 1 (WCAG 2.2). */
export function luminance(channels: Channels): number {
  const [r, g, b] = channels.map((c) => {
    const v = c / 255
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  }) as unknown as Channels
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
