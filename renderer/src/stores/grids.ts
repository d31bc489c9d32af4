import { defineStore } from 'pinia'
import { ref } from 'vue'
import type { GridPreset, GridRow } from '#contract'
import { call, onPush } from '../api/client'
import { createRows } from './rows'

export const useGrids = defineStore('grids', () => {
  const presets = ref<GridPreset[]>([])
  const { rows, put, ...loader } = createRows<GridRow>(async () => {
    const [list, known] = await Promise.all([call('grids.list', {}), call('grids.presets', {})])
    presets.value = known
    return list
  })
  onPush((push) => {
    if (push.topic === 'grid') put(push.grid)
    else if (push.topic === 'grid-removed') rows.value = rows.value.filter(({ id }) => id !== push.id)
  })
  return { rows, presets, ...loader, put }
})
