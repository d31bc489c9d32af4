/** Five significant digits: what a page shows and then one, in a file of a third of the size. */
export const short = (value: number) => Number(value.toPrecision(5))
