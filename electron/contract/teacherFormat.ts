import { z } from 'zod'

/** How a teacher's files are read; `auto`: as what they hold says. */
export const teacherFormats = ['auto', 'llama2c', 'huggingface', 'onnx'] as const
export const teacherFormat = z.enum(teacherFormats).default('auto')
