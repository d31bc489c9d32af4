import { defineStore } from 'pinia'
import { ref } from 'vue'
import type { GridPreset, GridRow } from '#contract'
import { call, onPush } from '../api/client'
import { createLoader } from './loader'

export const useGrids = defineStore('grids', () => {
  const rows = ref<GridRow[]>([])
  const presets = ref<GridPreset[]>([])
  const loader = createLoader(async () => {
    ;[rows.value, presets.value] = await Promise.all([call('grids.list', {}), call('grids.presets', {})])
  })
  function keep(row: GridRow): void {
    const at = rows.value.findIndex(({ id }) => id === row.id)
    if (at < 0) rows.value.push(row)
    else rows.value[at] = row
  }
  onPush((push) => {
    if (push.topic === 'grid') keep(push.grid)
    else if (push.topic === 'grid-removed') rows.value = rows.value.filter(({ id }) => id !== push.id)
  })
  return { rows, presets, ...loader, keep }
})
