export { createRandom, type Random } from '../files'
