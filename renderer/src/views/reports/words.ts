import type { ReportRow, ReportSection } from '#contract'

/** Formats that are written as text; a PDF is printed from the page. */
export type WrittenFormat = Exclude<ReportRow['format'], 'pdf'>

export const formatNames: Record<WrittenFormat, string> = {
  html: 'HTML page',
  md: 'Markdown',
  tex: 'LaTeX tables and figures',
  csv: 'CSV, one tidy table',
  json: 'JSON, everything',
}

export const sectionNames: Record<ReportSection, string> = {
  findings: 'What the numbers say',
  metrics: 'Held-out metrics',
  differences: 'Differences to the baseline',
  corpora: 'By corpus and teacher',
  calibration: 'Calibration',
  paper: 'The paper’s figures',
  costs: 'Teacher passes',
  curves: 'Curves',
  settings: 'Settings that differ',
  samples: 'The same prompt, continued',
  origins: 'Where it comes from',
}
