/** What of a model counts. */
export interface Shape {
  vocab: number
  width: number
  layers: number
  heads: number
}

/** Peaks of runs in MB, measured by a process' maximal resident set. */
export const measured: {
  kind: string
  model: Shape
  train: Record<string, unknown>
  teachers: (Shape & { onnx?: boolean })[]
  changes: Record<string, unknown>
  peak: number
}[] = [
  {
    kind: 'many tokens of few words',
    model: { vocab: 320, width: 128, layers: 4, heads: 4 },
    train: { batch: 32, context: 128 },
    teachers: [],
    changes: {},
    peak: 635,
  },
  {
    kind: 'no teacher',
    model: { vocab: 2048, width: 128, layers: 2, heads: 4 },
    train: { batch: 4, context: 64 },
    teachers: [],
    changes: {},
    peak: 310,
  },
  {
    kind: 'a teacher',
    model: { vocab: 512, width: 192, layers: 6, heads: 6 },
    train: { batch: 4, context: 64 },
    teachers: [{ vocab: 512, width: 256, layers: 6, heads: 8 }],
    changes: {},
    peak: 440,
  },
  {
    kind: 'several teachers',
    model: { vocab: 2048, width: 64, layers: 2, heads: 2 },
    train: { batch: 4, context: 256 },
    teachers: [
      { vocab: 2048, width: 256, layers: 6, heads: 8 },
      { vocab: 2048, width: 64, layers: 3, heads: 2 },
    ],
    changes: {},
    peak: 515,
  },
  {
    kind: 'an ONNX teacher',
    model: { vocab: 2048, width: 128, layers: 6, heads: 4 },
    train: { batch: 4, context: 256 },
    teachers: [{ vocab: 2048, width: 256, layers: 4, heads: 8, onnx: true }],
    changes: {},
    peak: 618,
  },
  {
    kind: 'two ONNX teachers',
    model: { vocab: 512, width: 256, layers: 3, heads: 8 },
    train: { batch: 8, context: 256 },
    teachers: [
      { vocab: 512, width: 256, layers: 2, heads: 8, onnx: true },
      { vocab: 512, width: 128, layers: 2, heads: 4, onnx: true },
    ],
    changes: {},
    peak: 809,
  },
  {
    kind: 'retention',
    model: { vocab: 2048, width: 256, layers: 2, heads: 8 },
    train: { batch: 32, context: 128 },
    teachers: [],
    changes: { continue: { run: 'first', retention: { weight: 0.5, tau: 2 } } },
    peak: 873,
  },
  {
    kind: 'a foreign teacher',
    model: { vocab: 8192, width: 128, layers: 6, heads: 4 },
    train: { batch: 16, context: 128 },
    teachers: [{ vocab: 2200, width: 96, layers: 3, heads: 3 }],
    changes: {},
    peak: 654,
  },
  {
    kind: 'a foreign ONNX teacher',
    model: { vocab: 512, width: 128, layers: 2, heads: 4 },
    train: { batch: 32, context: 256 },
    teachers: [{ vocab: 600, width: 96, layers: 4, heads: 3, onnx: true }],
    changes: {},
    peak: 968,
  },
  {
    kind: 'attention maps',
    model: { vocab: 8192, width: 96, layers: 6, heads: 3 },
    train: { batch: 4, context: 64 },
    teachers: [{ vocab: 8192, width: 256, layers: 4, heads: 8 }],
    changes: { loss: { features: { attention: 'mse', layers: 'last' } } },
    peak: 466,
  },
  {
    kind: 'features',
    model: { vocab: 8192, width: 256, layers: 6, heads: 8 },
    train: { batch: 4, context: 64 },
    teachers: [{ vocab: 8192, width: 128, layers: 6, heads: 4 }],
    changes: { loss: { features: { layers: 'uniform' } } },
    peak: 684,
  },
  {
    kind: 'features of an ONNX teacher',
    model: { vocab: 512, width: 384, layers: 2, heads: 12 },
    train: { batch: 16, context: 256 },
    teachers: [{ vocab: 512, width: 384, layers: 6, heads: 12, onnx: true }],
    changes: { loss: { features: { layers: 'uniform' } } },
    peak: 1589,
  },
  {
    kind: 'an exact cache',
    model: { vocab: 2048, width: 128, layers: 6, heads: 4 },
    train: { batch: 32, context: 64 },
    teachers: [{ vocab: 2048, width: 128, layers: 3, heads: 4 }],
    changes: { cache: { mode: 'exact' } },
    peak: 695,
  },
  {
    kind: 'a top-k cache',
    model: { vocab: 8192, width: 256, layers: 2, heads: 8 },
    train: { batch: 8, context: 64 },
    teachers: [{ vocab: 8192, width: 128, layers: 3, heads: 4 }],
    changes: { cache: { mode: 'top-k' } },
    peak: 668,
  },
  {
    kind: 'micro-batches',
    model: { vocab: 8192, width: 64, layers: 3, heads: 2 },
    train: { batch: 16, context: 128, accumulate: 16 },
    teachers: [{ vocab: 8192, width: 96, layers: 6, heads: 3 }],
    changes: {},
    peak: 394,
  },
  {
    kind: 'checkpointing',
    model: { vocab: 512, width: 96, layers: 3, heads: 3 },
    train: { batch: 8, context: 64, checkpointing: 'layers' },
    teachers: [],
    changes: {},
    peak: 289,
  },
  {
    kind: 'an exact cache in micro-batches',
    model: { vocab: 2048, width: 192, layers: 3, heads: 6 },
    train: { batch: 4, context: 128, accumulate: 2 },
    teachers: [{ vocab: 2048, width: 96, layers: 6, heads: 3 }],
    changes: { cache: { mode: 'exact' } },
    peak: 422,
  },
  {
    kind: 'a foreign teacher by uld',
    model: { vocab: 2048, width: 96, layers: 2, heads: 3 },
    train: { batch: 32, context: 64 },
    teachers: [{ vocab: 2200, width: 96, layers: 3, heads: 3 }],
    changes: { loss: { features: false, foreign: { compare: 'uld' } } },
    peak: 651,
  },
  {
    kind: 'a foreign teacher by uld',
    model: { vocab: 8192, width: 128, layers: 2, heads: 4 },
    train: { batch: 4, context: 64 },
    teachers: [{ vocab: 2200, width: 64, layers: 2, heads: 2 }],
    changes: { loss: { features: false, foreign: { compare: 'uld' } } },
    peak: 438,
  },
  {
    kind: 'in half precision',
    model: { vocab: 768, width: 192, layers: 8, heads: 6 },
    train: { batch: 8, context: 128, precision: 'f16' },
    teachers: [{ vocab: 768, width: 96, layers: 3, heads: 4 }],
    changes: {},
    peak: 579,
  },
  {
    kind: 'micro-batches in half precision',
    model: { vocab: 768, width: 320, layers: 5, heads: 10 },
    train: { batch: 16, context: 128, accumulate: 2, precision: 'f16' },
    teachers: [{ vocab: 768, width: 96, layers: 3, heads: 4 }],
    changes: {},
    peak: 752,
  },
  {
    kind: 'states of a teacher, at a real vocabulary',
    model: { vocab: 50280, width: 64, layers: 2, heads: 2 },
    train: { batch: 4, context: 64 },
    teachers: [{ vocab: 50280, width: 256, layers: 3, heads: 8 }],
    changes: { cache: { mode: 'states' } },
    peak: 786,
  },
  {
    kind: 'two teachers, at a real vocabulary',
    model: { vocab: 50280, width: 128, layers: 4, heads: 4 },
    train: { batch: 4, context: 64 },
    teachers: [
      { vocab: 50280, width: 64, layers: 4, heads: 2 },
      { vocab: 50280, width: 256, layers: 4, heads: 8 },
    ],
    changes: {},
    peak: 1059,
  },
]
