import { z } from 'zod'
import { servedImport } from '../served'
import { teacherFormat } from '../teacherFormat'
import { binEntry } from '../bin'
import { browsedFolder } from '../browse'
import { corpusUse } from '../corpusMixture'
import { corpusPreview, readingPreview } from '../corpusPreview'
import { problemShape } from '../errors'
import { estimate } from '../estimate'
import { objectName } from '../experiment'
import { cachedModel } from '../hub'
import { evaluateJob, exportDtypes, exportFormats, generateJob, generateResult, modelScore } from '../job'
import { corpus, corpusReading, id, teacher } from '../library'
import { tokenizer, tokenizerVocab } from '../tokenizer'
import { run } from '../run'
import { task } from '../task'
import { byId, definitionSource, forced, method, none } from './method'

export const library = {
  'corpora.list': method(none, z.array(corpus)),
  'corpora.import': method(
    z.strictObject({
      path: z.string().min(1),
      name: objectName.optional(),
      ...corpusReading,
      /** The text stays where it is. */
      reference: z.boolean().optional(),
    }),
    task,
  ),
  /** What an import would bring, before anything is written. */
  'corpora.inspect': method(z.strictObject({ path: z.string().min(1), ...corpusReading }), corpusPreview),
  'corpora.remove': method(byId, binEntry),
  'corpora.preview': method(
    z.strictObject({
      id,
      offset: z.number().int().nonnegative().default(0),
      count: z.number().int().max(50).default(10),
    }),
    z.object({ documents: z.array(z.string()), total: z.number() }),
  ),
  /** How a run would read its first documents: as tokenizer and template write them, and which tokens count. */
  'corpora.reading': method(
    z.strictObject({
      corpus: objectName,
      tokenizer: objectName,
      ...corpusUse,
      context: z.number().int().positive().default(128),
      count: z.number().int().positive().max(20).default(3),
    }),
    readingPreview,
  ),

  /** What a folder of the host holds, within the one that the settings allow; absent: that one. */
  'files.browse': method(z.strictObject({ folder: z.string().min(1).optional() }), browsedFolder),
  /** The models that lie in the Hugging Face Hub's cache, to be picked for an import, and where it is. */
  'library.hubCache': method(none, z.object({ folder: z.string(), models: z.array(cachedModel) })),
  'tokenizers.list': method(none, z.array(tokenizer)),
  /** A file or a folder of one, or `hf:ORG/NAME`. */
  'tokenizers.import': method(z.strictObject({ path: z.string().min(1), name: objectName.optional() }), task),
  /** Trains a byte-level BPE on the training splits of corpora. */
  'tokenizers.train': method(
    z.strictObject({
      name: objectName.optional(),
      corpora: z.array(z.string()).min(1),
      vocab: tokenizerVocab,
    }),
    task,
  ),

  'teachers.list': method(none, z.array(teacher)),
  'teachers.import': method(
    z.strictObject({
      path: z.string().min(1),
      name: objectName.optional(),
      format: teacherFormat,
      tokenizerPath: z.string().optional(),
      served: servedImport.optional(),
      reference: z.boolean().optional(),
    }),
    task,
  ),
  /** Trains a teacher: a run of kind `teacher`, in the library when it completes. */
  'teachers.train': method(
    z.strictObject({ definition: z.string(), source: definitionSource, force: forced }),
    run,
  ),
  /** As `experiments.check`, of a teacher's definition. */
  'teachers.check': method(
    z.strictObject({ definition: z.string() }),
    z.object({ problems: z.array(problemShape), estimate: estimate.optional() }),
  ),
  'teachers.remove': method(byId, binEntry),
  /** Fills in the matrix teachers x corpora. */
  'teachers.evaluate': method(z.strictObject({ ids: z.array(id).min(1), corpora: z.array(id).min(1) }), task),

  /** Fits their temperatures on the calibration splits of corpora, equally weighed. */
  'teachers.calibrate': method(
    z.strictObject({ ids: z.array(id).min(1), corpora: z.array(id).min(1) }),
    task,
  ),
  /** Measures what their matrices in 8 bits cost on the held-out text of corpora, and keeps it with them. */
  'teachers.measureInt8': method(
    z.strictObject({ ids: z.array(id).min(1), corpora: z.array(id).min(1) }),
    task,
  ),
  /** A model is a run (its best checkpoint) or a teacher. */
  'models.generate': method(
    z.strictObject({
      model: id,
      prompt: z.string(),
      tokens: z.number().int().positive().max(2000).default(100),
      temperature: z.number().nonnegative().default(0),
      topP: z.number().positive().max(1).default(1),
      seed: z.number().int().default(1),
      alternatives: generateJob.shape.alternatives.optional(),
      /** A new name under which the text is pushed while it grows, and can be stopped. */
      stream: z.string().min(1).max(64).optional(),
    }),
    generateResult,
  ),
  /** Ends a text that is being written; who asked for it is told that it was stopped. */
  'models.stop': method(z.strictObject({ stream: z.string() }), none),
  /** Writes a model's files for other tools into a folder, which is made where it is not there yet. */
  'models.export': method(
    z.strictObject({
      model: id,
      format: z.enum(exportFormats),
      /** What the numbers are: `dtypesOf` says which of them a format is written in. */
      dtype: z.enum(exportDtypes).default('f32'),
      out: z.string().min(1),
      /** Of an ONNX file: with the hidden states of every layer as outputs. */
      hiddenStates: z.boolean().default(false),
      /** Of an ONNX file: with a KV cache, as Optimum and transformers.js read it. */
      kvCache: z.boolean().default(false),
    }),
    task,
  ),
  /** Scores a run or a teacher, by name or id, on a corpus' held-out text, and keeps it; what is made has the model's id. */
  'models.evaluate': method(
    evaluateJob
      .pick({ tokens: true, prompts: true, continuations: true, tasks: true, examples: true })
      .extend({ model: z.string(), corpus: z.string() }),
    task,
  ),
  'models.scores': method(none, z.array(modelScore)),
} as const
