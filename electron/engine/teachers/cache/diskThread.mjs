/**
 * The thread of a `Disk`. Node loads it as it stands, wherever it is started from, so it is plain JavaScript with its
 * types in comments; the build bundles it as an entry of its own.
 */
import { closeSync, constants, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { setPriority } from 'node:os'
import { dirname } from 'node:path'
import { parentPort } from 'node:worker_threads'
import { crc32 } from 'node:zlib'

/**
 * A block to be read or written. Its memory goes along, and comes back with the answer.
 *
 * @typedef {object} BlockRequest
 * @property {number} id
 * @property {'read' | 'write'} kind
 * @property {string} path of the file
 * @property {number} position in the file, bytes
 * @property {ArrayBuffer} buffer the block: payload, then its trailer
 * @property {number} size bytes of the payload
 * @property {number} checksumAt place in the block of the payload's CRC-32, uint32 little-endian: written there, or
 *   compared with it
 */

/**
 * @typedef {object} BlockAnswer
 * @property {number} id
 * @property {ArrayBuffer} buffer
 * @property {boolean} [whole] of a read: all of it was there and the checksum is right
 * @property {{ message: string, code?: string }} [error] an error's code does not survive the way between threads
 */

/** In the way of the runtime's threads it would cost twice its own time: they wait for one another. */
const NICE = 10

/**
 * @param {BlockRequest} request
 * @returns {boolean} whether all of it was there and the checksum is right
 */
function read({ path, position, buffer, size, checksumAt }) {
  const block = Buffer.from(buffer)
  const file = openSync(path, 'r')
  try {
    for (let at = 0; at < block.length;) {
      const bytes = readSync(file, block, at, block.length - at, position + at)
      if (bytes === 0) return false
      at += bytes
    }
  } finally {
    closeSync(file)
  }
  return block.readUInt32LE(checksumAt) === crc32(block.subarray(0, size))
}

/** @param {BlockRequest} request */
function write({ path, position, buffer, size, checksumAt }) {
  const block = Buffer.from(buffer)
  block.writeUInt32LE(crc32(block.subarray(0, size)), checksumAt)
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT)
  try {
    // The trailer comes last: with it the block counts.
    writeAll(file, block.subarray(0, size), position)
    writeAll(file, block.subarray(size), position + size)
  } finally {
    closeSync(file)
  }
}

/**
 * @param {number} file
 * @param {Uint8Array} bytes
 * @param {number} position
 */
function writeAll(file, bytes, position) {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, position + at)
}

/**
 * @param {BlockRequest} request
 * @returns {Omit<BlockAnswer, 'id' | 'buffer'>}
 */
function answer(request) {
  try {
    if (request.kind === 'read') return { whole: read(request) }
    write(request)
    return {}
  } catch (thrown) {
    const error = /** @type {NodeJS.ErrnoException} */ (thrown)
    if (request.kind === 'read' && error.code === 'ENOENT') return { whole: false }
    return { error: { message: error.message, code: error.code } }
  }
}

// Elsewhere it would be the priority of the whole process.
if (process.platform === 'linux') setPriority(NICE)
const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort)
port.on('message', (/** @type {BlockRequest} */ request) => {
  const { id, buffer } = request
  port.postMessage({ id, buffer, ...answer(request) }, [buffer])
})
