import { showColorMode } from '../ui/colorMode'
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import type { AppInfo, Settings, Task } from '#contract'
import { call, onPush } from '../api/client'
import { createLoader } from './loader'

export const useApp = defineStore('app', () => {
  const info = ref<AppInfo>()
  const settings = ref<Settings>()
  const loader = createLoader(async () => {
    settings.value = await call('settings.get', {})
    info.value = await call('app.info', {})
  })
  watch(settings, (now) => {
    if (now) showColorMode(now.colorMode)
  })
  async function save(change: Partial<Settings>): Promise<void> {
    settings.value = await call('settings.set', change)
  }
  onPush((push) => {
    if (push.topic === 'library' && push.noun === 'settings') void loader.load()
  })
  return { info, settings, ...loader, save }
})

export const useTasks = defineStore('tasks', () => {
  const rows = ref<Task[]>([])
  const running = computed(() => rows.value.filter(({ status }) => status === 'running'))
  const loader = createLoader(async () => {
    rows.value = await call('tasks.list', {})
  })
  onPush((push) => {
    if (push.topic !== 'task') return
    const at = rows.value.findIndex(({ id }) => id === push.task.id)
    if (at < 0) rows.value.push(push.task)
    else rows.value[at] = push.task
  })
  return { rows, running, ...loader }
})
