export { type JobOf, type JobOptions, performJob, startJob, stopped, WorkerDeath } from './job'
export { PushLog } from './pushLog'
export { Slots } from './slots'
export { forwardProgress, TaskBoard, type TaskControl, within } from './tasks'
