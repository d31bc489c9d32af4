import { expect, it } from 'vitest'
import { latexDocument, latexNumber, latexText } from './latex'

it('escapes everything that means something to LaTeX', () => {
  expect(latexText('a_b & 50% of $x #1 {c} d\\e')).toBe(
    'a\\_b \\& 50\\% of \\$x \\#1 \\{c\\} d\\textbackslash{}e',
  )
  expect(latexText('~^[<|>')).toBe(
    '\\textasciitilde{}\\textasciicircum{}{[}\\textless{}\\textbar{}\\textgreater{}',
  )
})

it('writes signs and Greek letters as mathematics and leaves other letters alone', () => {
  expect(latexText('τ=1, α×2 ± Δ')).toBe('$\\tau$=1, $\\alpha$$\\times$2 $\\pm$ $\\Delta$')
  expect(latexText('ω ς σ π')).toBe('$\\omega$ $\\varsigma$ $\\sigma$ $\\pi$')
  expect(latexText('Zürich – “größer”')).toBe('Zürich – “größer”')
  expect([latexNumber('-4.8'), latexNumber('–'), latexNumber('1.0e-5')]).toEqual(['$-$4.8', '--', '1.0e-5'])
})

it('names the packages that the tables need', () => {
  const text = latexDocument([{ caption: 'a_b', columns: 'lr', head: ['', 'n'], rows: [['x', '1']] }])
  const used = { booktabs: '\\toprule', graphicx: '\\resizebox' }
  for (const [name, command] of Object.entries(used)) {
    expect(text).toContain(command)
    expect(text).toContain(`\\usepackage{${name}}`)
  }
})
