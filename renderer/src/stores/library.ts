import { defineStore } from 'pinia'
import { ref } from 'vue'
import type { BinEntry, Corpus, ExperimentRow, ModelScore, ReportRow, Teacher, Tokenizer } from '#contract'
import { call, onPush } from '../api/client'
import { createLoader } from './loader'
import { createRows } from './rows'

export const useLibrary = defineStore('library', () => {
  const corpora = ref<Corpus[]>([])
  const tokenizers = ref<Tokenizer[]>([])
  const teachers = ref<Teacher[]>([])
  const scores = ref<ModelScore[]>([])
  const loader = createLoader(async () => {
    const lists = await Promise.all([
      call('corpora.list', {}),
      call('tokenizers.list', {}),
      call('teachers.list', {}),
      call('models.scores', {}),
    ])
    ;[corpora.value, tokenizers.value, teachers.value, scores.value] = lists
  })
  onPush((push) => {
    if (push.topic !== 'library' || loader.state.value === 'idle') return
    if (['corpora', 'tokenizers', 'teachers'].includes(push.noun)) void loader.load()
  })
  return { corpora, tokenizers, teachers, scores, ...loader }
})

export const useExperiments = defineStore('experiments', () =>
  createRows<ExperimentRow>(() => call('experiments.list', {}), 'experiments'),
)

export const useBin = defineStore('bin', () => createRows<BinEntry>(() => call('bin.list', {}), 'bin'))

export const useReports = defineStore('reports', () =>
  createRows<ReportRow>(() => call('reports.list', {}), 'reports'),
)
