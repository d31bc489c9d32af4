export { checkLargest, checkMemory, largestOf, memoryAdvice, memoryLimit, peakMemory } from './memory'
export { memoryKills, recordOutOfMemory } from './outOfMemory'
