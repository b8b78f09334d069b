import { defineDeleteCommand } from '../delete-command.ts';
import { functionArg, pathOf } from './shared.ts';

export const deleteFunction = defineDeleteCommand({
  description: 'Delete a function with its versions; key-value namespaces stay',
  examples: ['soulbox function delete hello', 'soulbox function delete hello --json'],
  noun: 'function',
  argument: functionArg,
  key: 'name',
  pathOf: (name) => pathOf(name),
});
