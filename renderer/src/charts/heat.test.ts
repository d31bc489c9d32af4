import { expect, it } from 'vitest'
import { heatColors, luminance } from './heat'

const channels = (text: string) => text.match(/\d+/g)!.map(Number) as [number, number, number]

it('letters can be read on every shade, and a better cell is never fainter', () => {
  for (const dark of [false, true]) {
    const distance: number[] = []
    for (let shade = 0; shade <= 1; shade += 0.01) {
      const { background, color } = heatColors(shade, dark)
      const [ground, ink] = [luminance(channels(background)), color === '#000' ? 0 : 1]
      const [low, high] = [Math.min(ground, ink), Math.max(ground, ink)]
      expect((high + 0.05) / (low + 0.05)).toBeGreaterThanOrEqual(4.5)
      distance.push(dark ? ground : 1 - ground)
    }
    expect(distance).toEqual([...distance].sort((a, b) => a - b))
  }
})
