import { defineDeleteCommand } from '../delete-command.ts';
import { pathOf, secretArg } from './read-value.ts';

export const deleteSecret = defineDeleteCommand({
  description: 'Delete a secret with all its versions',
  noun: 'secret',
  argument: secretArg,
  key: 'secret',
  pathOf,
});
