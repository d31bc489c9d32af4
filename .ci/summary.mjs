import { existsSync, readFileSync } from 'node:fs'

/**
 * Adds up the runners' own records: `N skipped`, then, as the last line, `N passed, N failed`. A runner that left no
 * record counts as one failure.
 */
function read(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}
const unit = read('test-results/unit.json')
const journeys = read('test-results/e2e.json')
const passed = (unit?.numPassedTests ?? 0) + (journeys?.stats.expected ?? 0)
const failed =
  (unit ? unit.numFailedTests : 1) + (journeys ? journeys.stats.unexpected + journeys.stats.flaky : 1)
const skipped = (unit?.numPendingTests ?? 0) + (unit?.numTodoTests ?? 0) + (journeys?.stats.skipped ?? 0)
console.log(`${skipped} skipped`)
console.log(`${passed} passed, ${failed} failed`)
