/** Version of every shape that Retort writes to disk; a migration exists for each step up. */
export const SCHEMA_VERSION = 1
/** Retort's own version, as in package.json. */
export const VERSION = '0.1.0'
