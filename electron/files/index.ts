export * from './atomic'
export * from './jsonLines'
export * from './digest'
export * from './random'
