import { isMap, parseDocument } from 'yaml'
import { clusterProfile } from '#contract'

/** A setting of a profile that the form has a field for; the others are written in the YAML. */
export interface ClusterField {
  key: string
  label: string
  help: string
  kind: 'text' | 'number' | 'choice' | 'words'
  placeholder?: string
  choices?: readonly string[]
}

export const clusterFields: readonly ClusterField[] = [
  { key: 'name', label: 'Name', help: 'How grids speak of it', kind: 'text' },
  {
    key: 'host',
    label: 'Login host',
    help: 'As ssh is given it; empty: Slurm’s commands are on this machine',
    kind: 'text',
  },
  {
    key: 'dataDir',
    label: 'Data directory',
    help: 'Absolute, on the file system that the nodes share',
    kind: 'text',
    placeholder: '/shared/retort',
  },
  {
    key: 'transfer',
    label: 'Transfer',
    help: 'shared: that is the app’s own data directory; rsync: cells are copied there and back',
    kind: 'choice',
    choices: ['shared', 'rsync'],
  },
  {
    key: 'command',
    label: 'Command',
    help: 'Starts retort on a node',
    kind: 'words',
    placeholder: 'retort',
  },
  { key: 'partition', label: 'Partition', help: 'Empty: the default one', kind: 'text' },
  { key: 'account', label: 'Account', help: 'That is charged', kind: 'text' },
  { key: 'cpus', label: 'CPUs', help: 'Of a cell', kind: 'number', placeholder: '1' },
  { key: 'memory', label: 'Memory', help: 'Of a cell, as in 4G', kind: 'text' },
  { key: 'time', label: 'Time', help: 'Of a cell: minutes, h:mm:ss or d-hh', kind: 'text' },
  { key: 'gres', label: 'Generic resources', help: 'Of a cell, as in gpu:1', kind: 'text' },
  { key: 'throttle', label: 'Cells at once', help: 'At most', kind: 'number', placeholder: '8' },
]

/** What a field shows of a profile; empty where nothing is set, and where the text is not YAML. */
export function readField(text: string, { key, kind }: ClusterField): string {
  const document = parseDocument(text)
  if (document.errors.length || !isMap(document.contents)) return ''
  const { [key]: value } = document.toJS() as Record<string, unknown>
  if (value === undefined || value === null) return ''
  return kind === 'words' && Array.isArray(value) ? value.join(' ') : String(value)
}

/** The profile with one field set, or taken out when it is empty; comments and all else stay. */
export function writeField(text: string, { key, kind }: ClusterField, value: string): string {
  const document = parseDocument(text)
  if (document.errors.length) return text
  if (!isMap(document.contents)) document.contents = document.createNode({}) as never
  const trimmed = value.trim()
  if (!trimmed) document.delete(key)
  else if (kind === 'words') document.set(key, document.createNode(trimmed.split(/\s+/), { flow: true }))
  else document.set(key, kind === 'number' && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed)
  return document.toString({ flowCollectionPadding: false })
}

/** What is wrong with a profile, by field; `''` is what belongs to none. */
export function problemsOf(text: string): Record<string, string> {
  const document = parseDocument(text)
  const [error] = document.errors
  if (error) return { '': error.message.split('\n')[0]! }
  const found = clusterProfile.safeParse(document.toJS() ?? {})
  const problems: Record<string, string> = {}
  for (const issue of found.error?.issues ?? []) {
    const key = String(issue.path[0] ?? '')
    const missing = issue.code === 'invalid_type' && issue.input === undefined
    problems[key] ??=
      missing && !readField(text, { key, kind: 'text', label: '', help: '' })
        ? 'has to be given'
        : issue.message
  }
  return problems
}
