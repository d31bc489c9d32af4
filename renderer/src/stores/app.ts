import { showColorMode } from '../ui/colorMode'
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import type { AppInfo, Settings, Task } from '#contract'
import { call, onPush } from '../api/client'
import { createLoader } from './loader'
import { createRows } from './rows'

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
  const { rows, put, ...loader } = createRows<Task>(() => call('tasks.list', {}))
  const running = computed(() => rows.value.filter(({ status }) => status === 'running'))
  const demo = computed(() => running.value.find(({ title }) => title === 'Demo' || title === 'Quick demo'))
  const followed = ref(new Set<string>())
  /** What is at work, and what was started in this page and ended with something to say, until that is put away. */
  const told = computed(() =>
    rows.value.filter(
      ({ id, status, warnings }) =>
        status === 'running' || (followed.value.has(id) && (status === 'failed' || !!warnings?.length)),
    ),
  )
  function follow(task: Task | undefined): void {
    if (task) followed.value.add(task.id)
  }
  const putAway = (id: string) => followed.value.delete(id)
  onPush((push) => {
    if (push.topic === 'task') put(push.task)
  })
  return { rows, running, demo, told, follow, putAway, ...loader }
})
