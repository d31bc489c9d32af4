/** Bits of a digit of the radix sort. */
const DIGIT = 10
const BINS = 1 << DIGIT
const MASK = BINS - 1

/**
 * Compares rows of two vocabularies rank by rank. It sorts by the bits of the probabilities, which as whole numbers are
 * in the order of the values: a radix sort of three digits, the student's with the places of its values. ONNX Runtime's
 * TopK compares through indices and takes several times as long.
 */
export class RankComparison {
  private readonly low = new Int32Array(BINS)
  private readonly middle = new Int32Array(BINS)
  private readonly high = new Int32Array(BINS)
  /** A row's bits after the first digit, and after the second; with their places. */
  private readonly first: Uint32Array
  private readonly second: Uint32Array
  private readonly firstPlaces: Uint32Array
  private readonly secondPlaces: Uint32Array
  /** The teacher's row, the smallest first, after as many zeros as the student's is longer. */
  private readonly sorted: Float32Array

  /**
   * @param vocab the student's vocabulary
   * @param other the teacher's
   */
  constructor(
    private readonly vocab: number,
    private readonly other: number,
  ) {
    const longest = Math.max(vocab, other)
    this.first = new Uint32Array(longest)
    this.second = new Uint32Array(longest)
    this.firstPlaces = new Uint32Array(vocab)
    this.secondPlaces = new Uint32Array(vocab)
    this.sorted = new Float32Array(longest)
  }

  /**
   * The L1 distance of each row's sorted probabilities, the shorter row padded with zeros.
   *
   * @param tables probabilities of student and teacher at the same places, [rows, vocabulary of each]
   * @param wanted rows with another value than 0 are compared; the others are 0
   * @param distances where they go, [rows]
   * @param signs of the student's probability less that of its rank, where wanted, [rows * vocab]
   */
  compare(
    { student, teacher }: { student: Float32Array; teacher: Float32Array },
    wanted: ArrayLike<number>,
    distances: Float32Array,
    signs?: Float32Array,
  ): void {
    const { vocab, other } = this
    for (let row = 0; row < distances.length; row++) {
      const own = signs?.subarray(row * vocab, (row + 1) * vocab)
      if (wanted[row]) {
        this.sort(teacher.subarray(row * other, (row + 1) * other))
        distances[row] = this.distance(student.subarray(row * vocab, (row + 1) * vocab), own)
      } else {
        distances[row] = 0
        own?.fill(0)
      }
    }
  }

  /** Sorts a row of the teacher's. */
  private sort(row: Float32Array): void {
    const { low, middle, high, first, second } = this
    const bits = bitsOf(row)
    const sorted = bitsOf(this.sorted).subarray(this.sorted.length - row.length)
    this.count(bits)
    for (let i = 0; i < bits.length; i++) {
      const key = bits[i]!
      first[low[key & MASK]!++] = key
    }
    for (let i = 0; i < bits.length; i++) {
      const key = first[i]!
      second[middle[(key >>> DIGIT) & MASK]!++] = key
    }
    for (let i = 0; i < bits.length; i++) {
      const key = second[i]!
      sorted[high[(key >>> (2 * DIGIT)) & MASK]!++] = key
    }
  }

  /** Of a row of the student's to what was sorted last. */
  private distance(row: Float32Array, signs: Float32Array | undefined): number {
    const { low, middle, high, first, second, firstPlaces, secondPlaces, sorted } = this
    const bits = bitsOf(row)
    this.count(bits)
    for (let i = 0; i < bits.length; i++) {
      const key = bits[i]!
      const at = low[key & MASK]!++
      first[at] = key
      firstPlaces[at] = i
    }
    for (let i = 0; i < bits.length; i++) {
      const key = first[i]!
      const at = middle[(key >>> DIGIT) & MASK]!++
      second[at] = key
      secondPlaces[at] = firstPlaces[i]!
    }
    const more = sorted.length - row.length
    let sum = 0
    for (let i = 0; i < more; i++) sum += sorted[i]!
    for (let i = 0; i < bits.length; i++) {
      const place = secondPlaces[i]!
      const rank = high[(second[i]! >>> (2 * DIGIT)) & MASK]!++
      const difference = row[place]! - sorted[more + rank]!
      sum += Math.abs(difference)
      if (signs) signs[place] = Math.sign(difference)
    }
    return sum
  }

  /** Where each digit's values begin. */
  private count(bits: Uint32Array): void {
    const { low, middle, high } = this
    low.fill(0)
    middle.fill(0)
    high.fill(0)
    for (let i = 0; i < bits.length; i++) {
      const key = bits[i]!
      low[key & MASK]!++
      middle[(key >>> DIGIT) & MASK]!++
      high[(key >>> (2 * DIGIT)) & MASK]!++
    }
    let [a, b, c] = [0, 0, 0]
    for (let bin = 0; bin < BINS; bin++) {
      const [x, y, z] = [low[bin]!, middle[bin]!, high[bin]!]
      low[bin] = a
      middle[bin] = b
      high[bin] = c
      a += x
      b += y
      c += z
    }
  }
}

function bitsOf({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length)
}
