import { defineStore } from 'pinia'
import { ref } from 'vue'
import type { Corpus, ExperimentRow, ModelScore, ReportRow, Teacher, Tokenizer } from '#contract'
import { call, onPush } from '../api/client'
import { createLoader } from './loader'

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

export const useExperiments = defineStore('experiments', () => {
  const rows = ref<ExperimentRow[]>([])
  const loader = createLoader(async () => {
    rows.value = await call('experiments.list', {})
  })
  onPush((push) => {
    if (push.topic === 'library' && push.noun === 'experiments') void loader.load()
  })
  return { rows, ...loader }
})

export const useReports = defineStore('reports', () => {
  const rows = ref<ReportRow[]>([])
  const loader = createLoader(async () => {
    rows.value = await call('reports.list', {})
  })
  onPush((push) => {
    if (push.topic === 'library' && push.noun === 'reports') void loader.load()
  })
  return { rows, ...loader }
})
