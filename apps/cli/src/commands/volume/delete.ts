import { defineDeleteCommand } from '../delete-command.ts';
import { volumeArg } from './volume-place.ts';

export const deleteVolume = defineDeleteCommand({
  description: 'Delete a volume with everything in it',
  examples: ['soulbox volume delete datasets', 'soulbox volume delete datasets --json'],
  noun: 'volume',
  argument: volumeArg,
  key: 'volume',
  pathOf: (id) => `/volumes/${encodeURIComponent(id)}`,
});
