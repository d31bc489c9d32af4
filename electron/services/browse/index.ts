export { browse } from './browse'
