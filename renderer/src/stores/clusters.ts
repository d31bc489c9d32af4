import { defineStore } from 'pinia'
import { ref } from 'vue'
import type { ClusterProfile } from '#contract'
import { call } from '../api/client'
import { createLoader } from './loader'

export const useClusters = defineStore('clusters', () => {
  const rows = ref<ClusterProfile[]>([])
  const loader = createLoader(async () => {
    rows.value = await call('clusters.list', {})
  })
  return { rows, ...loader }
})
