import ui from '@nuxt/ui/vite'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'electron-vite'
import { resolve } from 'node:path'

const at = (path: string) => resolve(import.meta.dirname, path)
const contract = { '#contract': at('electron/contract/index.ts') }
/** Plain Node runs these files too, so they are compiled for the oldest that Retort supports. */
const target = 'node20.19'

export default defineConfig({
  main: {
    resolve: { alias: contract },
    build: {
      target,
      outDir: 'out/main',
      // Optional dependencies are not in `dependencies`, so they are named.
      externalizeDeps: { include: ['@tensorflow/tfjs-node-gpu'] },
      rollupOptions: {
        input: {
          desktop: at('electron/hosts/desktop/index.ts'),
          worker: at('electron/engine/worker.ts'),
          diskThread: at('electron/engine/teachers/cache/diskThread.mjs'),
          aheadThread: at('electron/engine/data/segments/aheadThread.ts'),
          cli: at('electron/hosts/cli/index.ts'),
        },
        output: { format: 'es', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
      },
    },
  },
  preload: {
    resolve: { alias: contract },
    build: {
      outDir: 'out/preload',
      // A sandboxed preload script is one CommonJS file.
      externalizeDeps: false,
      rollupOptions: {
        input: { index: at('electron/hosts/desktop/preload.ts') },
        external: ['electron'],
        output: { format: 'cjs', entryFileNames: '[name].cjs' },
      },
    },
  },
  renderer: {
    root: at('renderer'),
    base: './',
    resolve: { alias: contract },
    plugins: [
      vue(),
      ui({
        dts: false,
        autoImport: false,
        // The mode is a setting of the data directory, not of the browser.
        colorMode: false,
        // Icons in use are part of the page: nothing is fetched.
        icon: { clientBundle: { scan: true, icons: ['lucide:settings'] } },
        ui: {
          colors: { primary: 'sky', neutral: 'zinc' },
          // Under the pointer too, white on it stays at AA.
          button: {
            compoundVariants: [
              { color: 'primary', variant: 'solid', class: 'hover:bg-primary/90 active:bg-primary/90' },
            ],
          },
        },
      }),
    ],
    build: {
      outDir: at('out/renderer'),
      rollupOptions: { input: at('renderer/index.html') },
      chunkSizeWarningLimit: 1500,
    },
  },
})
