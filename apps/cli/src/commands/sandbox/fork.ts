import { defineCommand } from 'citty';
import { makeCopies } from './make-copies.ts';
import {
  apiDataDirArg,
  countArg,
  idempotencyKeyArg,
  jsonArg,
  sandboxArg,
  clonesArg,
  timeoutArg,
} from '../../command-line/shared-args.ts';

export const forkSandbox = defineCommand({
  meta: {
    name: 'fork',
    description: 'Fork a running or paused sandbox; prints the ids of the forks',
    examples: [
      'soulbox sandbox fork ID',
      'soulbox sandbox fork ID --count 10 --timeout 600',
      'soulbox sandbox fork ID --volumes clone',
    ],
  },
  args: {
    sandbox: sandboxArg,
    count: countArg,
    timeout: timeoutArg,
    volumes: clonesArg,
    'idempotency-key': idempotencyKeyArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    return await makeCopies(`/sandboxes/${encodeURIComponent(args.sandbox)}/fork`, args);
  },
});
