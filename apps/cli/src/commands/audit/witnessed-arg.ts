/** Of commands that download the log. */
export const witnessedArg = {
  type: 'boolean',
  description: 'Take the newest checkpoint that witnesses have signed, which may be some seconds old',
} as const;
