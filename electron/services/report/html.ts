import type { ReportSection } from '#contract'
import { escape, lineChart, type Figure } from './chart'
import type { ReportContent, ReportedRun, Table } from './content'
import { reportFigures } from './figures'
import { cellText, shownTable } from './shown'

const STYLE = `
:root{color-scheme:light dark;--fg:#1c2024;--soft:#60646c;--bg:#fff;--line:#e0e1e6;--band:#f6f7f9;--accent:#0072b2}
@media(prefers-color-scheme:dark){:root{--fg:#edeef0;--soft:#b0b4ba;--bg:#18191b;--line:#363a3f;--band:#212225;--accent:#56b4e9}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:0 auto;max-width:1120px;padding:32px 24px}
h1{font-size:24px;margin:0}h2{font-size:18px;margin:32px 0 8px}p{margin:8px 0;max-width:80ch}.soft,small,figcaption small{color:var(--soft);font-weight:400}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px}th,td{padding:4px 12px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}thead th{border-bottom:2px solid var(--line);font-weight:600;vertical-align:bottom}td.best{font-weight:700;color:var(--accent)}
.scroll{overflow-x:auto}.text td{text-align:left;font-family:ui-monospace,monospace;font-size:13px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:24px}figure{margin:0}figcaption{font-weight:600;margin-bottom:4px}
.chart{width:100%;height:auto}.chart text{font-size:12px;fill:var(--soft)}.chart .grid{stroke:var(--line)}.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px}.legend span{display:inline-flex;gap:6px;align-items:center}
@media print{@page{size:A4 landscape;margin:14mm 12mm;@bottom-right{content:counter(page) " / " counter(pages);font:9px system-ui,sans-serif}}
:root{color-scheme:light;--fg:#1c2024;--soft:#60646c;--bg:#fff;--line:#e0e1e6;--band:#f6f7f9;--accent:#0072b2}
body{font-size:11px;max-width:none;padding:0}h2,figcaption,thead{break-after:avoid}tr,figure,pre{break-inside:avoid}
.scroll{overflow:visible}.scroll+.scroll{margin-top:12px}table,.text td{font-size:10px}th,td{padding:3px 6px;white-space:normal;overflow-wrap:anywhere}td:not(:first-child){white-space:nowrap}.text td{white-space:normal}
.charts{grid-template-columns:1fr 1fr}}
li{margin:4px 0;max-width:90ch}pre{white-space:pre-wrap;background:var(--band);padding:8px 12px;border-radius:4px;font-size:13px;margin:4px 0}
`

/** A report as one file: no script, nothing fetched, light and dark. */
export function htmlReport(content: ReportContent): string {
  const { title, createdAt, findings, tables, runs, sections } = content
  const figures = reportFigures(content)
  const within = (section: ReportSection, write: () => string) => (sections.has(section) ? write() : '')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><title>${escape(title)}</title><style>${STYLE}</style></head><body>
<h1>${escape(title)}</h1><p class="soft">Retort report, ${escape(createdAt.slice(0, 16).replace('T', ' '))} UTC. ${runs.length} run${runs.length === 1 ? '' : 's'}.</p>
${findings.length ? `<h2>What the numbers say</h2><ul>${findings.map((line) => `<li>${escape(line)}</li>`).join('')}</ul>` : ''}
${tables.map(table).join('')}
${charts('Reliability', figures.reliability)}${charts('Curves', figures.curves, content.methods.length < runs.length ? 'The first seed of each method.' : '')}
${settings(content)}${within('samples', () => samples(content.methods.map((method) => method.runs[0]!)))}${within('origins', () => origins(runs))}
</body></html>
`
}

function table(data: Table): string {
  const { title, notes, columns, rows, verdicts } = shownTable(data)
  const head = columns.map(
    ({ title, unit }) =>
      `<th scope="col">${escape(title)}${unit ? `<br><small>${escape(unit)}</small>` : ''}</th>`,
  )
  const lines = rows.map(({ head, cells }, i) => {
    const values = cells.map(
      (cell) => `<td${cell.best ? ' class="best"' : ''}>${escape(cellText(cell))}</td>`,
    )
    const verdict = verdicts ? `<td>${escape(verdicts[i]!)}</td>` : ''
    return `<tr><td>${escape(head)}</td>${values.join('')}${verdict}</tr>`
  })
  return `<h2>${escape(title)}</h2>${notes.map((note) => `<p class="soft">${escape(note)}</p>`).join('')}
<div class="scroll"><table><thead><tr><th scope="col"></th>${head.join('')}${verdicts ? '<th scope="col">Verdict</th>' : ''}</tr></thead><tbody>${lines.join('')}</tbody></table></div>`
}

function charts(title: string, figures: readonly Figure[], note = ''): string {
  if (!figures.length) return ''
  return `<h2>${title}</h2>${note && `<p class="soft">${note}</p>`}<div class="charts">${figures.map(lineChart).join('')}</div>`
}

/** Columns of settings that fit beside each other on a page; more make tables below. */
const SETTINGS = 6

function settings({ settings: { columns, rows } }: ReportContent): string {
  if (!rows.length) return ''
  const tables = Array.from({ length: Math.ceil(columns.length / SETTINGS) }, (_, i) => {
    const part = <T>(all: readonly T[]) => all.slice(i * SETTINGS, (i + 1) * SETTINGS)
    const head = part(columns).map((name) => `<th scope="col">${escape(name)}</th>`)
    const body = rows.map(({ head, cells }) => {
      const values = part(cells).map((cell) => `<td>${escape(cell)}</td>`)
      return `<tr><td>${escape(head)}</td>${values.join('')}</tr>`
    })
    return `<div class="scroll"><table class="text"><thead><tr><th></th>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`
  })
  return `<h2>Settings that differ</h2>${tables.join('')}`
}

function samples(runs: readonly ReportedRun[]): string {
  const shown = runs.flatMap(({ row }) =>
    row.evaluation?.sample ? [{ name: row.name, ...row.evaluation.sample }] : [],
  )
  if (!shown.length) return ''
  const prompt = shown[0]!.prompt
  return `<h2>The same prompt, continued</h2><pre>${escape(prompt)}</pre>${shown
    .map(({ name, continuation }) => `<p><b>${escape(name)}</b></p><pre>${escape(continuation)}</pre>`)
    .join('')}`
}

/** What it takes to do it again: seeds, digests, machine. */
function origins(runs: readonly ReportedRun[]): string {
  const rows = runs.map(({ row, config, environment: e }) => {
    const machine = e
      ? `${e.cpu}, ${e.cores} cores, ${e.threads} threads, ${e.backend} ${e.backendVersion}, Node ${e.node}`
      : ''
    const data = config.corpora.map(({ row: c }) => `${c.name} ${c.digest.slice(0, 8)}`).join(', ')
    return `<tr><td>${escape(row.name)}</td><td>${escape(row.id)}</td><td>${row.seed}</td><td>${escape(data)}</td><td>${escape(machine)}</td></tr>`
  })
  return `<h2>Where it comes from</h2><div class="scroll"><table class="text"><thead><tr><th>Run</th><th>Id</th><th>Seed</th><th>Corpora and digests</th><th>Machine</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}
