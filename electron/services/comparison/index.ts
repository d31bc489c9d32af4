export { type ComparedRun, compareRuns, evaluationMetrics, medianSpeed } from './comparison'
export { gatherMethods, judge, judgePairs, type Method, type Verdict } from './methods'
export { beforeAndAfter } from './forgetting'
export {
  ascending,
  type Difference,
  holm,
  isReal,
  pairedBootstrap,
  type ScoreUnit,
  type SeedScores,
  studentP,
  studentQuantile,
} from './statistics'
