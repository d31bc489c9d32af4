/** Greek letters by their code points from alpha on; omicron and the capitals that look like Latin ones are not among them. */
const SMALL =
  'alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi - pi rho varsigma sigma tau upsilon phi chi psi omega'
const CAPITALS = { Γ: 'Gamma', Δ: 'Delta', Θ: 'Theta', Λ: 'Lambda', Ξ: 'Xi', Π: 'Pi', Σ: 'Sigma', Φ: 'Phi' }
const greek = [
  ...SMALL.split(' ').map((name, i) => [String.fromCodePoint(0x3b1 + i), name] as const),
  ...Object.entries({ ...CAPITALS, Ψ: 'Psi', Ω: 'Omega' }),
].filter(([, name]) => name !== '-')

const LATEX: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  // At the start of a row it would be taken for an argument of the line break before.
  '[': '{[}',
  // Other signs in the font encoding that a document has by default.
  '<': '\\textless{}',
  '>': '\\textgreater{}',
  '|': '\\textbar{}',
  ...Object.fromEntries(greek.map(([letter, name]) => [letter, `$\\${name}$`])),
  '†': '\\textsuperscript{\\dag}',
  '±': '$\\pm$',
  '×': '$\\times$',
  '·': '$\\cdot$',
  '−': '$-$',
  '→': '$\\to$',
  '≤': '$\\leq$',
  '≥': '$\\geq$',
  '∞': '$\\infty$',
}
const SPECIAL = new RegExp(
  `[&%$#_{}${Object.keys(LATEX)
    .join('')
    .replace(/[\\^[]/g, '\\$&')}]`,
  'g',
)

/** Text for LaTeX, its special characters escaped, signs and Greek letters as mathematics. */
export function latexText(text: string): string {
  return text.replace(/(?<![\w-])-(?=\d)/g, '−').replace(SPECIAL, (sign) => LATEX[sign] ?? `\\${sign}`)
}
