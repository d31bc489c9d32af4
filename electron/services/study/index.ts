export { parseStudy } from './definition'
export { Study } from './study'
