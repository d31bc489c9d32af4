export { addOutputs } from './order'
export { type RunOrigin, RunQueue, waitForWriter } from './queue'
