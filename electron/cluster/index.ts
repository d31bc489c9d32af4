export { Login } from './login'
export { batchScript, logName } from './script'
export { cancel, findJob, submit, taskStates, type TaskState } from './slurm'
export { Transfer } from './transfer'
