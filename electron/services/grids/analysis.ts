import { conflict, type GridExport, type GridResults, type GridRow, type ParsedParams } from '#contract'
import { evaluationMetrics } from '../comparison'
import { DocumentBootstrap } from './documents'
import { gridFigure } from './figures'
import { gridResults, type ResultsQuery } from './results'
import { latexTables, tidyCsv } from './tables'

type ExportQuery = Omit<ParsedParams<'grids.export'>, 'id'>

/** What a grid has found, looked at and written down. */
export class GridAnalysis {
  private readonly bootstrap: DocumentBootstrap

  constructor(dataDir: string) {
    this.bootstrap = DocumentBootstrap.of(dataDir)
  }

  /** @throws not-found naming a metric, an axis or a setting that is not there */
  results(row: GridRow, query: ResultsQuery = {}): GridResults {
    return gridResults(row, evaluationMetrics, query, this.bootstrap)
  }

  /** @throws conflict when there is nothing to write yet, else as `results` */
  export(row: GridRow, { format, figure, standalone, ...query }: ExportQuery): GridExport {
    const results = this.results(row, query)
    if (!results.settings.some(({ mean }) => mean !== null)) {
      throw conflict(`grid "${row.name}" has no completed cell with ${results.metric.title} yet`)
    }
    const slug = row.name.replace(/[^\w.-]+/g, '-')
    switch (format) {
      case 'csv':
        return { file: `${slug}.csv`, content: tidyCsv(row, results.metrics) }
      case 'latex': {
        const all = results.metrics.map(({ key }) => this.results(row, { ...query, metric: key }))
        return { file: `${slug}.tex`, content: latexTables(row.name, all, results, standalone) }
      }
      case 'svg':
        return { file: `${slug}-${figure}.svg`, content: gridFigure(figure, row.name, results) }
    }
  }
}
