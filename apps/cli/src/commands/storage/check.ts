import { styleText } from 'node:util';
import { defineCommand } from 'citty';
import { printable } from '@soulbox/envd-client/printable';
import { checkObjectStore, openObjectStore } from '@soulbox/storage/objects';
import type { CheckedPromise } from '@soulbox/storage/objects';
import { storageVariables } from '../../config.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { orInterrupted } from '../../output/abort-on-signal.ts';

export const checkStorage = defineCommand({
  meta: {
    name: 'check',
    description: 'Try every promise of an object store; exit code 1 if it breaks one',
    examples: [
      'soulbox storage check --storage "s3://bucket/prefix?region=eu-central-1"',
      'soulbox storage check --storage file:///mnt/shared --json',
    ],
  },
  args: {
    storage: { type: 'string', description: 'URL of the store (default: SOULBOX_STORAGE)', valueHint: 'URL' },
    'credentials-file': {
      type: 'string',
      description: 'JSON file with its credentials (default: SOULBOX_STORAGE_CREDENTIALS_FILE)',
      valueHint: 'FILE',
    },
    json: jsonArg,
  },
  async run({ args }) {
    const variables = storageVariables();
    const url = args.storage ?? variables.url;
    if (url === undefined) throw new UsageError('Give --storage URL, or set SOULBOX_STORAGE.');
    const credentialsFile = args['credentials-file'] ?? variables.credentialsFile;
    return await orInterrupted(async (signal) => {
      await using store = await openObjectStore(url, { credentialsFile });
      const isJson = args.json === true;
      const checked = await checkObjectStore(store, { signal, ...(isJson ? {} : { onChecked: printChecked }) });
      const isOk = checked.every(({ outcome }) => outcome === 'holds' || outcome === 'lacks');
      if (isJson) console.log(JSON.stringify({ ok: isOk, storage: url, promises: checked }, undefined, 2));
      else console.log(`\n${summarize(checked)}`);
      return isOk ? exitCodes.ok : exitCodes.failed;
    });
  },
});

const marks = {
  holds: ['green', 'holds'],
  lacks: ['yellow', 'lacks'],
  fails: ['red', 'FAILS'],
  skipped: ['dim', 'skip '],
} as const satisfies Record<CheckedPromise['outcome'], readonly [string, string]>;

function printChecked({ outcome, promise, detail, durationMs }: CheckedPromise): void {
  const [color, word] = marks[outcome];
  console.log(`${styleText(color, word)}  ${promise} (${durationMs} ms)`);
  // The words of the store.
  if (detail !== undefined && outcome !== 'skipped') console.log(`         ${printable(detail)}`);
}

function summarize(checked: readonly CheckedPromise[]): string {
  const count = (outcome: CheckedPromise['outcome']): number =>
    checked.filter((each) => each.outcome === outcome).length;
  return `${checked.length} promises: ${count('holds')} hold, ${count('lacks')} are lacking, ${count('fails')} fail, ${count('skipped')} skipped.`;
}
