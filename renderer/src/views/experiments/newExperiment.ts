import { useRouter } from 'vue-router'
import { call } from '../../api/client'
import { useExperiments, useLibrary } from '../../stores/library'
import { useRuns } from '../../stores/runs'
import { useAction } from '../../ui/action'
import { starter } from './starter'

/** Makes an experiment of what the library has and opens it. */
export function useNewExperiment() {
  const experiments = useExperiments()
  const library = useLibrary()
  const runs = useRuns()
  const router = useRouter()
  const { busy, act } = useAction()

  async function create(): Promise<void> {
    const row = await act('The experiment could not be made', async () => {
      await Promise.all([library.ensure(), runs.ensure(), experiments.ensure()])
      const taken = experiments.rows.flatMap(({ id, name }) => [id, name])
      return call('experiments.save', { definition: starter({ ...library, runs: runs.rows }, taken) })
    })
    if (row) await router.push(`/experiments/${row.id}`)
  }
  return { busy, create }
}
