export { Bin } from './bin'
