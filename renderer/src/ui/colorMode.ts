import { ref } from 'vue'
import type { Settings } from '#contract'

const system = window.matchMedia('(prefers-color-scheme: dark)')
let chosen: Settings['colorMode'] = 'system'

/** Whether the page is dark now; charts draw their axes by it. */
export const dark = ref(false)

export function showColorMode(mode: Settings['colorMode']): void {
  chosen = mode
  dark.value = chosen === 'dark' || (chosen === 'system' && system.matches)
  document.documentElement.classList.toggle('dark', dark.value)
  document.documentElement.style.colorScheme = dark.value ? 'dark' : 'light'
}

system.addEventListener('change', () => showColorMode(chosen))
