/**
 * GPT-2's alphabet for bytes: printable Latin-1 characters stand for themselves, the other bytes for characters from
 * U+0100 on, so that every byte string is a readable string without spaces.
 */
const BYTE_TO_CHARACTER: string[] = []
const CHARACTER_TO_BYTE = new Map<string, number>()

for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  const character = String.fromCharCode(printable ? byte : next++)
  BYTE_TO_CHARACTER[byte] = character
  CHARACTER_TO_BYTE.set(character, byte)
}

export const NO_BYTES = new Uint8Array()

export function bytesToCharacters(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += BYTE_TO_CHARACTER[byte]
  return text
}

/** undefined when a character stands for no byte. */
export function charactersToBytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const byte = CHARACTER_TO_BYTE.get(text[i]!)
    if (byte === undefined) return undefined
    bytes[i] = byte
  }
  return bytes
}
