import { useRouter } from 'vue-router'
import { call } from '../../api/client'
import { useAction } from '../../ui/action'

/** Writes a report of runs and opens it. */
export function useReportWriter() {
  const router = useRouter()
  const { busy: writing, act } = useAction()
  async function writeReport(runs: string[]): Promise<void> {
    const row = await act('The report could not be written', () => call('reports.create', { runs }))
    if (row) await router.push(`/reports/${row.id}`)
  }
  return { writing, writeReport }
}
