import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { badInput, EMBEDDING, families, HEAD, parse, type Family as Name, type ModelConfig } from '#contract'
import { readJson, WEIGHTS, WEIGHTS_INDEX } from '../../files'
import { shapeOfTheirs, toOurs } from './convert'
import { familyTable } from './families'
import { ConfigReader } from './families/configReader'
import type { Family, Link } from './families/family'
import { pickleAmong, refusePickle } from './pickle'
import { openSafetensors, type Tensors } from './safetensors'
import { checkFinite, type Weights } from './weights'

const shardIndex = z.object({ weight_map: z.record(z.string(), z.string()) })

/** Tensors of old checkpoints that are no weights: masks, and what rotary positions are made of. */
const BUFFERS = /(^|\.)(rotary_emb\.inv_freq|attn\.(bias|masked_bias)|attention\.(bias|masked_bias))$/

/**
 * Reads a model folder of transformers: `config.json`, and safetensors, whole or in shards, tensor by tensor.
 *
 * @throws bad-input naming the file and the key or tensor that is not known, missing, or of another shape
 */
export function readHuggingFace(folder: string): { config: ModelConfig; weights: Weights } {
  const { family, config } = readConfig(folder)
  const shards = openShards(folder)
  try {
    checkLayers(config, shards, folder)
    return readWeights(family, config, shards, folder)
  } finally {
    for (const shard of shards) shard.close()
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
  const family = familyTable[name as Name]
  const reader = new ConfigReader(raw, file)
  const config = family.read(reader)
  reader.finish()
  return { family, config }
}

function openShards(folder: string): Tensors[] {
  const index = join(folder, WEIGHTS_INDEX)
  const single = join(folder, WEIGHTS)
  if (!existsSync(index) && !existsSync(single)) {
    const pickle = pickleAmong(readdirSync(folder))
    if (pickle) throw refusePickle(join(folder, pickle))
  }
  if (!existsSync(index)) return [openSafetensors(single)]
  const { weight_map: map } = parse(shardIndex, readJson(index), index)
  const opened: Tensors[] = []
  try {
    for (const name of new Set(Object.values(map))) {
      if (/[/\\\0]/.test(name) || ['', '.', '..'].includes(name))
        throw badInput(`its weights are in "${name}", outside its folder`, {
          file: index,
          field: 'weight_map',
        })
      opened.push(openSafetensors(join(folder, name)))
    }
    return opened
  } catch (error) {
    for (const shard of opened) shard.close()
    throw error
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

function readWeights(
  family: Family,
  config: ModelConfig,
  shards: readonly Tensors[],
  folder: string,
): { config: ModelConfig; weights: Weights } {
  const places = placesOf(family, config, shards)
  const weights: Weights = new Map()
  const take = (name: string, link: Link) => {
    const place = places.get(name)
    const expected = shapeOfTheirs(config, link)
    if (!place)
      throw badInput('the tensor is missing', {
        file: shards.length === 1 ? shards[0]!.file : join(folder, WEIGHTS_INDEX),
        field: name,
        expected: `shape [${expected.join(', ')}]`,
      })
    places.delete(name)
    const { shard, stored } = place
    const shape = shard.shapeOf(stored)
    if (shape.join() !== expected.join())
      throw badInput(`the tensor has shape [${shape.join(', ')}]`, {
        file: shard.file,
        field: stored,
        expected: `[${expected.join(', ')}]`,
      })
    const tensor = shard.read(stored)
    checkFinite(tensor.data, shard.file, stored)
    return tensor
  }
  for (const link of family.links(config))
    for (const [name, weight] of toOurs(
      config,
      link,
      link.theirs.map((name) => take(name, link)),
    ))
      weights.set(name, weight)
  const head = family.head ?? HEAD
  if (config.tied && places.has(head)) {
    // As transformers does: a head that is not the embedding stays its own, whatever the configuration says.
    const own = take(head, { theirs: [head], ours: [EMBEDDING] })
    const embedding = weights.get(EMBEDDING)!.data
    if (own.data.some((value, i) => value !== embedding[i])) {
      weights.set(HEAD, own)
      config = { ...config, tied: false }
    }
  }
  for (const [name, { shard, stored }] of places) {
    if (!BUFFERS.test(name))
      throw badInput('the model has no such tensor', { file: shard.file, field: stored })
  }
  return { config, weights }
}

/** Where each tensor is, under the name that it has in a model with its head. */
function placesOf(family: Family, config: ModelConfig, shards: readonly Tensors[]) {
  const known = new Set(family.links(config).flatMap(({ theirs }) => theirs))
  const places = new Map<string, { shard: Tensors; stored: string }>()
  for (const shard of shards) {
    for (const stored of shard.names) {
      const whole = known.has(stored) || !known.has(family.prefix + stored) ? stored : family.prefix + stored
      places.set(whole, { shard, stored })
    }
  }
  return places
}
