/** A list of numbers that grows, 8 bytes each. */
export class Numbers {
  private values = new Float64Array(1 << 10)
  length = 0

  push(...values: number[]): void {
    if (this.length + values.length > this.values.length) {
      const larger = new Float64Array(2 * this.values.length)
      larger.set(this.values)
      this.values = larger
    }
    this.values.set(values, this.length)
    this.length += values.length
  }

  /** All of them; what is written there is written in the list. */
  get all(): Float64Array {
    return this.values.subarray(0, this.length)
  }
}
