import { defineDeleteCommand } from '../delete-command.ts';

export const deleteNamespace = defineDeleteCommand({
  description: 'Delete a key-value namespace with its content; functions that use it then see it empty',
  examples: ['soulbox kv delete hello', 'soulbox kv delete hello --json'],
  noun: 'namespace',
  argument: { type: 'positional', required: true, description: 'Its name, as in `soulbox kv list`' },
  key: 'name',
  pathOf: (name) => `/kv/${encodeURIComponent(name)}`,
});
