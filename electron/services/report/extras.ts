import type { ReportOptions } from '#contract'
import type { Question } from './questions'
import type { Table } from './table'

/** What a report holds beside what its runs tell, and what of that is chosen. */
export interface ReportExtras {
  options?: ReportOptions
  /** What a study asks; they are answered first. */
  questions?: readonly Question[]
  /** Tables that stand at the end. */
  more?: readonly Table[]
}
