import { stringify } from 'yaml'
import { createServices } from '../../services'
import { nodeWorkerLauncher } from '../nodeWorker'

const model = { width: 24, layers: 2, heads: 2, context: 24 }
const train = { steps: 30, batch: 8, context: 24 }

/** Saves experiments one after the other, and says the name of each once that is done. Killed in between. */
const [dataDir, prefix] = process.argv.slice(2) as [string, string]
const services = await createServices({ dataDir, spawnWorker: nodeWorkerLauncher(), host: 'cli' })
for (let i = 0; ; i++) {
  const name = `${prefix}-${i}`
  const definition = stringify({
    name,
    corpus: 'recipes',
    tokenizer: 'bpe',
    student: model,
    teachers: [],
    train,
  })
  services.rooms.experiments.save({ definition })
  await new Promise<void>((told) => process.stdout.write(`${name}\n`, () => told()))
}
