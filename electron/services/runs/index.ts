export { resolveContinuation } from './continuation'
export { DisagreementService } from './disagreement'
export { followRun } from './followRun'
export { RunService } from './runs'
