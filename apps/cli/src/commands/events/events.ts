import { defineCommand } from 'citty';
import { headers as headerNames } from '@soulbox/contract';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { followApi } from '../../api/stream.ts';
import type { ApiEvent } from '../../api/wire.ts';
import { apiDataDirArg, parseNumberFlag } from '../../command-line/shared-args.ts';

const pageSize = 100;

export const events = defineCommand({
  meta: {
    name: 'events',
    description: 'Print events of sandboxes, oldest first: number, time, sandbox, event, cause',
    examples: ['soulbox events --follow', 'soulbox events ID --after 100 --json'],
  },
  args: {
    sandbox: { type: 'positional', required: false, description: 'Only those of this sandbox' },
    after: { type: 'string', description: 'Start after the event with this number (default 0)', valueHint: 'N' },
    follow: { type: 'boolean', alias: 'f', description: 'Follow new events until Ctrl-C' },
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'Print one JSON object per line' },
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const path =
      args.sandbox === undefined ? '/events/sandboxes' : `/events/sandboxes/${encodeURIComponent(args.sandbox)}`;
    const after = parseNumberFlag('after', args.after, 0, 999_999_999) ?? 0;
    const read = args.follow === true ? follow : readAfter;
    for await (const event of read(api, path, after))
      console.log(args.json === true ? JSON.stringify(event) : lineOf(event));
  },
});

/** The existing events after the given one, and those to come. */
async function* follow(api: ApiConnection, path: string, after: number): AsyncGenerator<ApiEvent> {
  let from = after;
  for await (const { event } of followApi<{ readonly event: ApiEvent }>(api, () => ({
    path,
    query: { after: from },
  }))) {
    from = event.sequence;
    yield event;
  }
}

/** All existing events after the given one, page by page. */
async function* readAfter(api: ApiConnection, path: string, after: number): AsyncGenerator<ApiEvent> {
  let from = after;
  for (;;) {
    const query = { after: from, limit: pageSize, orderAsc: 'true' };
    const { body: page, headers } = await callApi<readonly ApiEvent[]>(api, { path, query });
    yield* page;
    const last = page.at(-1);
    // A page of large events is shorter. Its header then says where the next page starts.
    const isLast = page.length < pageSize && !headers.has(headerNames.nextAfter);
    if (last === undefined || isLast) return;
    from = last.sequence;
  }
}

function lineOf({ sequence, timestamp, sandboxId, type, eventData }: ApiEvent): string {
  const word = type.replace(/^sandbox\.lifecycle\./, '');
  return `${String(sequence).padStart(6)}  ${timestamp}  ${sandboxId}  ${word.padEnd(12)}  ${eventData.cause}`;
}
