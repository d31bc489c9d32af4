/** A list of numbers that grows. */
export class Growing<T extends Int32Array | Float64Array> {
  length = 0

  /** @param values room to begin with, of the type that the numbers are kept in */
  constructor(private values: T) {}

  push(...values: number[]): void {
    if (this.length + values.length > this.values.length) {
      const larger = new (this.values.constructor as new (length: number) => T)(2 * this.values.length)
      larger.set(this.values)
      this.values = larger
    }
    for (const value of values) this.values[this.length++] = value
  }

  /** All of them; what is written there is written in the list. */
  get all(): T {
    return this.values.subarray(0, this.length) as T
  }
}

/** Of numbers below 2^31. */
export const places = () => new Growing(new Int32Array(1 << 10))

/** Of sizes and shares, 8 bytes each. */
export const numbers = () => new Growing(new Float64Array(1 << 10))
