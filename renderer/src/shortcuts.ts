/** What keys do, where no field has the keyboard; `?` lists them. The router's pages are reached by G and a letter. */
export const jumps = {
  e: '/experiments',
  t: '/teachers',
  c: '/corpora',
  g: '/grids',
  q: '/queue',
  r: '/runs',
  v: '/compare',
  p: '/playground',
  o: '/reports',
  s: '/settings',
} as const
