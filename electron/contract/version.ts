/** Version of every shape that Retort writes to disk; a migration exists for each step up. */
export const SCHEMA_VERSION = 1
