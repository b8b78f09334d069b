import { defineCommand } from 'citty';
import { makeCopies } from './make-copies.ts';
import {
  apiDataDirArg,
  countArg,
  idempotencyKeyArg,
  jsonArg,
  sandboxArg,
  timeoutArg,
} from '../../command-line/shared-args.ts';

export const forkSandbox = defineCommand({
  meta: {
    name: 'fork',
    description: 'Fork a running or paused sandbox; prints the ids of the forks',
    examples: ['soulbox sandbox fork ID', 'soulbox sandbox fork ID --count 10 --timeout 600'],
  },
  args: {
    sandbox: sandboxArg,
    count: countArg,
    timeout: timeoutArg,
    'idempotency-key': idempotencyKeyArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    return await makeCopies(`/sandboxes/${encodeURIComponent(args.sandbox)}/fork`, args);
  },
});
