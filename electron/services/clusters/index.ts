export { type CellOptions, computeCell } from './cell'
export { ClusterService } from './clusters'
export { ClusterProfiles } from './profiles'
