import { defineDeleteCommand } from '../delete-command.ts';
import { bucketArg, pathOf } from './bucket-args.ts';

export const deleteBucket = defineDeleteCommand({
  description: 'Forget a bucket and its credentials; nothing in the store is changed',
  examples: ['soulbox bucket delete training', 'soulbox bucket delete training --json'],
  noun: 'bucket',
  argument: bucketArg,
  key: 'bucket',
  pathOf,
});
