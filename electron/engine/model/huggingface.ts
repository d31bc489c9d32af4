import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { badInput, EMBEDDING, families, HEAD, parse, type Family as Name, type ModelConfig } from '#contract'
import { readJson, WEIGHTS, WEIGHTS_INDEX } from '../../files'
import { checkNoAdapter } from './adapter'
import { commonHalf, shapeOfTheirs, shapesOfOurs, toOurs } from './convert'
import { familyTable } from './families'
import { ConfigReader } from './families/configReader'
import type { Family, Link } from './families/family'
import { pickleAmong, refusePickle } from './pickle'
import { openSafetensors, type Tensors } from './safetensors'
import { checkFinite, type Stored, type Weight, type Weights, type WeightSource } from './weights'

const shardIndex = z.object({ weight_map: z.record(z.string(), z.string()) })

/** Tensors of old checkpoints that are no weights: masks, and what rotary positions are made of. */
const BUFFERS = /(^|\.)(rotary_emb\.inv_freq|attn\.(bias|masked_bias)|attention\.(bias|masked_bias))$/

/** A model folder that is open: what it holds is known, its numbers are read when they are asked for. */
export interface HuggingFaceFolder extends WeightSource {
  config: ModelConfig
  /** The names of the files that its weights lie in. */
  files: string[]
  /** One of our tensors. */
  tensor(name: string): Weight
  close(): void
}

/** @throws as `openHuggingFace`, and where a number is not finite */
export function readHuggingFace(folder: string): { config: ModelConfig; weights: Weights } {
  const { config, values, close } = openHuggingFace(folder)
  try {
    return { config, weights: new Map(values()) }
  } finally {
    close()
  }
}

/**
 * Opens a model folder of transformers: `config.json`, and safetensors, whole or in shards, whose weights are then read
 * tensor by tensor.
 *
 * @throws bad-input naming the file and the key or tensor that is not known, missing, or of another shape; where an
 * adapter lies there
 */
export function openHuggingFace(folder: string): HuggingFaceFolder {
  checkNoAdapter(folder)
  const { family, config } = readConfig(folder)
  return openAs(family, config, openShards(folder), folder)
}

/**
 * Opens files of weights of which all else is known from when they were imported.
 *
 * @throws bad-input when they are not such a model's
 */
export function openWeightFiles(
  config: ModelConfig,
  folder: string,
  files: readonly string[],
): HuggingFaceFolder {
  return openAs(familyTable[config.family], config, openAll(files, folder), folder)
}

function openAs(family: Family, config: ModelConfig, shards: Tensors[], folder: string): HuggingFaceFolder {
  const close = () => {
    for (const shard of shards) shard.close()
  }
  try {
    checkLayers(config, shards, folder)
    const files = shards.map(({ file }) => basename(file))
    return { ...sourceOf(family, config, shards, folder), files, close }
  } catch (error) {
    close()
    throw error
  }
}

/** @throws bad-input when the family is not known, or a key of the configuration is not */
export function readConfig(folder: string): { family: Family; config: ModelConfig } {
  const file = join(folder, 'config.json')
  if (!existsSync(file))
    throw badInput('the file is missing', { file, expected: 'a Hugging Face model folder' })
  const raw = parse(z.record(z.string(), z.unknown()), readJson(file), file)
  const { model_type: name } = parse(z.object({ model_type: z.string() }), raw, file)
  if (!(families as readonly string[]).includes(name)) {
    throw badInput(`the family "${name}" is not supported`, {
      file,
      field: 'model_type',
      expected: families.join(', '),
    })
  }
  const { quantization_config: quantised } = raw
  if (quantised) {
    const { quant_method: how } = quantised as { quant_method?: unknown }
    throw badInput(`its weights are quantised${typeof how === 'string' ? ` (${how})` : ''}`, {
      file,
      field: 'quantization_config',
      expected: 'the model that it was made of, in f32, f16 or bf16',
    })
  }
  const family = familyTable[name as Name]
  const reader = new ConfigReader(raw, file)
  const config = family.read(reader)
  reader.finish()
  return { family, config }
}

function openShards(folder: string): Tensors[] {
  const index = join(folder, WEIGHTS_INDEX)
  const single = join(folder, WEIGHTS)
  // One file goes before shards, as in transformers.
  if (existsSync(single)) return [openSafetensors(single)]
  if (!existsSync(index)) {
    const pickle = pickleAmong(readdirSync(folder))
    throw pickle
      ? refusePickle(join(folder, pickle))
      : badInput('the file is missing', { file: single, expected: 'the weights as safetensors' })
  }
  const { weight_map: map } = parse(shardIndex, readJson(index), index)
  const names = new Set(Object.values(map))
  for (const name of names)
    if (/[/\\\0]/.test(name) || ['', '.', '..'].includes(name))
      throw badInput(`its weights are in "${name}", outside its folder`, { file: index, field: 'weight_map' })
  return openAll(names, folder, (opened) => checkIndex(map, opened, index))
}

/** Opens all of these files, or none. */
function openAll(
  names: Iterable<string>,
  folder: string,
  check: (opened: Tensors[]) => void = () => {},
): Tensors[] {
  const opened: Tensors[] = []
  try {
    for (const name of names) opened.push(openSafetensors(join(folder, name)))
    check(opened)
    return opened
  } catch (error) {
    for (const shard of opened) shard.close()
    throw error
  }
}

/** @throws bad-input where a shard lacks a tensor that the index says is in it, or a tensor is in two of them */
function checkIndex(map: Readonly<Record<string, string>>, shards: readonly Tensors[], index: string): void {
  const holders = new Map<string, string>()
  for (const { names, file } of shards) {
    for (const name of names) {
      const other = holders.get(name)
      if (other) throw badInput(`the tensor is in ${basename(other)} too`, { file, field: name })
      holders.set(name, file)
    }
  }
  for (const [name, shard] of Object.entries(map)) {
    const holder = holders.get(name)
    if ((holder && basename(holder) === shard) || (!holder && BUFFERS.test(name))) continue
    throw badInput(`the tensor is not in ${shard}`, {
      file: index,
      field: `weight_map.${name}`,
      expected: holder ? basename(holder) : 'the name of a shard that has it',
    })
  }
}

/** Each layer has tensors of its own: more layers than tensors are refused before a list of them is made. */
function checkLayers({ layers }: ModelConfig, shards: readonly Tensors[], folder: string): void {
  const tensors = shards.reduce((sum, { names }) => sum + [...names].length, 0)
  if (layers <= tensors) return
  throw badInput(`${layers} layers, where the weights have ${tensors} tensors`, {
    file: join(folder, 'config.json'),
    field: 'num_hidden_layers',
    expected: 'a model whose weights are there',
  })
}

function sourceOf(
  family: Family,
  announced: ModelConfig,
  shards: readonly Tensors[],
  folder: string,
): Omit<HuggingFaceFolder, 'files' | 'close'> {
  const places = placesOf(family, announced, shards)
  const whole = shards.length === 1 ? shards[0]!.file : join(folder, WEIGHTS_INDEX)
  const [links, config] = withOwnHead(family, announced, places, whole)
  const tensors = new Map<string, Stored>()
  for (const link of links) {
    const half = commonHalf(link.theirs.map((name) => checked(config, link, name, places, whole)))
    for (const [name, shape] of shapesOfOurs(config, link)) tensors.set(name, { shape, ...half })
  }
  const known = new Set(links.flatMap(({ theirs }) => theirs))
  if (config.tied) known.add(family.head ?? HEAD)
  for (const [name, { shard, stored }] of places) {
    if (!known.has(name) && !BUFFERS.test(name))
      throw badInput('the model has no such tensor', { file: shard.file, field: stored })
  }
  const read = (link: Link) => {
    const theirs = link.theirs.map((name) => {
      const { shard, stored } = places.get(name)!
      const tensor = shard.read(stored)
      checkFinite(tensor.data, shard.file, stored)
      return tensor
    })
    return toOurs(config, link, theirs)
  }
  function* values() {
    for (const link of links) yield* read(link)
  }
  const tensor = (name: string) => read(links.find(({ ours }) => ours.includes(name))!).get(name)!
  return { config, tensors, values, tensor }
}

type Places = ReadonlyMap<string, Place>

/** @throws bad-input when a tensor is missing or of another shape */
function checked(config: ModelConfig, link: Link, name: string, places: Places, whole: string): Stored {
  const place = places.get(name)
  const expected = shapeOfTheirs(config, link)
  if (!place)
    throw badInput('the tensor is missing', {
      file: whole,
      field: name,
      expected: `shape [${expected.join(', ')}]`,
    })
  const found = place.shard.stored(place.stored)
  if (found.shape.join() !== expected.join())
    throw badInput(`the tensor has shape [${found.shape.join(', ')}]`, {
      file: place.shard.file,
      field: place.stored,
      expected: `[${expected.join(', ')}]`,
    })
  return found
}

/** As transformers does: a head that is not the embedding stays its own, whatever the configuration says. */
function withOwnHead(
  family: Family,
  config: ModelConfig,
  places: Places,
  whole: string,
): [Link[], ModelConfig] {
  const links = family.links(config)
  const head = family.head ?? HEAD
  if (!config.tied || !places.has(head)) return [links, config]
  const embedding = links.find(({ ours }) => ours.includes(EMBEDDING))!
  const own: Link = { theirs: [head], ours: [EMBEDDING] }
  checked(config, own, head, places, whole)
  checked(config, embedding, embedding.theirs[0]!, places, whole)
  if (sameNumbers(places.get(head)!, places.get(embedding.theirs[0]!)!)) return [links, config]
  return [[...links, { theirs: [head], ours: [HEAD] }], { ...config, tied: false }]
}

/** Numbers that are held against each other at a time. */
const SOME = 1 << 20

function sameNumbers(one: Place, other: Place): boolean {
  const size = one.shard.stored(one.stored).shape.reduce((a, b) => a * b, 1)
  for (let from = 0; from < size; from += SOME) {
    const count = Math.min(SOME, size - from)
    const [a, b] = [one, other].map(({ shard, stored }) => shard.readSome(stored, from, count)) as [
      Float32Array,
      Float32Array,
    ]
    if (a.some((value, i) => value !== b[i])) return false
  }
  return true
}

/** A tensor of a file, under the name that it has there. */
interface Place {
  shard: Tensors
  stored: string
}

/** Where each tensor is, under the name that it has in a model with its head. */
function placesOf(family: Family, config: ModelConfig, shards: readonly Tensors[]): Places {
  const known = new Set(family.links(config).flatMap(({ theirs }) => theirs))
  const places = new Map<string, Place>()
  for (const shard of shards) {
    for (const stored of shard.names) {
      const whole = known.has(stored) || !known.has(family.prefix + stored) ? stored : family.prefix + stored
      places.set(whole, { shard, stored })
    }
  }
  return places
}
