export { type JobOf, type JobOptions, performJob, startJob, stopped, WorkerDeath } from './job'
export { PushLog } from './pushLog'
export { forwardProgress, TaskBoard, type TaskControl, within } from './tasks'
