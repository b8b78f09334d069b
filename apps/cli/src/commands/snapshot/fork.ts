import { defineCommand } from 'citty';
import { makeCopies } from '../sandbox/make-copies.ts';
import {
  apiDataDirArg,
  countArg,
  idempotencyKeyArg,
  jsonArg,
  snapshotArg,
  clonesArg,
  timeoutArg,
} from '../../command-line/shared-args.ts';

export const forkSnapshot = defineCommand({
  meta: {
    name: 'fork',
    description: 'Create sandboxes from a snapshot; prints their ids',
    examples: ['soulbox snapshot fork SNAPSHOT', 'soulbox snapshot fork ready:v1 --count 10 --timeout 600'],
  },
  args: {
    snapshot: snapshotArg,
    count: countArg,
    timeout: timeoutArg,
    volumes: clonesArg,
    'idempotency-key': idempotencyKeyArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    return await makeCopies(`/snapshots/${encodeURIComponent(args.snapshot)}/fork`, args);
  },
});
