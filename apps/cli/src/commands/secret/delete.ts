import { defineDeleteCommand } from '../delete-command.ts';
import { pathOf, secretArg } from './read-value.ts';

export const deleteSecret = defineDeleteCommand({
  description: 'Delete a secret with all its versions',
  examples: ['soulbox secret delete api', 'soulbox secret delete api --json'],
  noun: 'secret',
  argument: secretArg,
  key: 'secret',
  pathOf,
});
