import { defineCommand } from 'citty';
import { createStorageKey } from '@soulbox/vault';

export const printStorageKey = defineCommand({
  meta: {
    name: 'key',
    description: 'Print a new key under which a server encrypts what it uploads to an object store',
    examples: ['(umask 077; soulbox storage key > storage.key)'],
  },
  run() {
    process.stdout.write(createStorageKey());
  },
});
