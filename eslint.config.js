import { readdirSync } from 'node:fs'
import importX from 'eslint-plugin-import-x'
import vue from 'eslint-plugin-vue'
import tseslint from 'typescript-eslint'

/**
 * The arrows of the house: each room and the rooms it may import from. Nothing imports a host but hosts; the engine
 * knows no store, no service and no Electron; the page knows the contract and nothing else of electron/.
 */
const rooms = {
  contract: [],
  files: ['contract'],
  engine: ['contract', 'files'],
  store: ['contract', 'files'],
  cluster: ['contract', 'files'],
  services: ['contract', 'files', 'store', 'cluster'],
  hosts: ['contract', 'files', 'store', 'services'],
}

/** The rooms within `services/`: each has one way in, its index.ts, which exports what the others need of it. */
const serviceRooms = readdirSync(new URL('electron/services', import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

const zones = [
  ...Object.entries(rooms).flatMap(([room, allowed]) =>
    Object.keys(rooms)
      .filter((other) => other !== room && !allowed.includes(other))
      .map((other) => ({
        target: `./electron/${room}`,
        from: `./electron/${other}`,
        message: `${room} may import ${allowed.join(', ') || 'nothing of ours'} (CONTRIBUTING.md: the arrows)`,
      })),
  ),
  ...serviceRooms.map((room) => ({
    target: [
      `./electron/services/!(${room})/**`,
      './electron/services/*.ts',
      './electron/hosts/**',
      './electron/*.ts',
      './e2e/**',
    ],
    from: `./electron/services/${room}`,
    except: ['./index.ts'],
    message: `services/${room} is entered through its index.ts`,
  })),
  { target: './electron', from: './renderer', message: 'nothing of electron/ imports the page' },
  {
    target: './renderer',
    from: './electron',
    except: ['./contract'],
    message: 'the page imports the contract alone (CONTRIBUTING.md: the arrows)',
  },
]

export default tseslint.config(
  { ignores: ['out/', '.gpu/', 'node_modules/', 'test-results/', 'playwright-report/', '**/.nuxt-ui/'] },
  ...tseslint.configs.recommended,
  ...vue.configs['flat/essential'],
  {
    files: ['**/*.ts', '**/*.vue', '**/*.js', '**/*.mjs'],
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver-next': [
        importX.createNodeResolver({
          extensions: ['.ts', '.js', '.vue', '.json'],
          conditionNames: ['import', 'node'],
        }),
      ],
    },
    languageOptions: { parserOptions: { parser: tseslint.parser, extraFileExtensions: ['.vue'] } },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      // Those of types are found by contract/arrows.test.ts: this rule leaves them out.
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      // Read in one sitting; a longer one says why in its first line.
      'max-lines': ['error', { max: 300 }],
      // TypeScript knows what is defined.
      'no-undef': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['electron/**'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "BinaryExpression[operator='in'][left.type!='Literal']",
          message: 'a name from outside may be "constructor": Object.hasOwn',
        },
      ],
    },
  },
  {
    files: ['electron/{contract,files,engine,store,cluster,services}/**', 'electron/hosts/{cli,web}/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: [{ name: 'electron', message: 'Electron is known to the desktop host alone' }] },
      ],
    },
  },
)
