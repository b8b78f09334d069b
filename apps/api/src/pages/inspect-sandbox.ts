import type { LifecycleEvent, SandboxRecord } from '@soulbox/storage';
import type { FastifyReply } from 'fastify';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { timeToWire } from '../http/schemas.ts';
import { pageCharsMax } from '../limits.ts';
import { findOwn, isLive } from '../lookup/sandbox.ts';
import { markup, pageHeaders, renderPage } from './html.ts';
import type { Html } from './html.ts';
import { inspectPath, inspectSchema, sendKeyForm, shownId } from './key-form.ts';
import { signOutForm } from './sign-out.ts';

const eventsMax = 50;

/** The page to which the `e2b` CLI sends people: the facts of one sandbox, for a browser that has sent the key. */
export function addInspectPage(app: ApiApp, context: ApiContext): void {
  app.get(inspectPath, { config: { auth: 'cookie' }, schema: inspectSchema }, async (request, reply) => {
    if (request.caller === null || request.caller === undefined)
      return await sendKeyForm(reply, request.params.sandboxID);
    const record = await findOwn(context, callerOf(request), request.params.sandboxID);
    if (record === undefined) return await sendMissing(reply, request.params.sandboxID);
    return await reply.headers(pageHeaders).send(await renderSandbox(context, record));
  });
}

async function sendMissing(reply: FastifyReply, sandboxId: string): Promise<FastifyReply> {
  const what = markup`<code>${shownId(sandboxId)}</code>`;
  const body = markup`<p>The team of this key has no sandbox ${what}: it never had one, or it ended long ago.</p>
${signOutForm}`;
  return await reply.code(404).headers(pageHeaders).send(renderPage('Not found', body));
}

async function renderSandbox(context: ApiContext, record: SandboxRecord): Promise<string> {
  const facts: readonly (readonly [string, string])[] = [
    ['State', record.state !== 'ended' && !isLive(record, context) ? 'ended' : record.state],
    ['Why', record.cause],
    ['Since', timeToWire(record.stateSince)],
    ['Template', record.alias === '' ? record.templateId : `${record.alias} (${record.templateId})`],
    ['Started', timeToWire(record.startedAt)],
    ['Ends', record.state === 'running' ? timeToWire(record.endAt) : ''],
    ['At its timeout', record.lifecycle.onTimeout],
    ['CPUs', String(record.cpuCount)],
    ['Memory', `${record.memoryMb} MiB`],
    ['Disk', `${record.diskSizeMb} MiB`],
    ['Isolation', record.isolation],
    ['envd', record.envdVersion],
  ];
  const { events } = await context.records.events.list({
    ...{ teamId: record.teamId, sandboxId: record.id, types: [], after: 0 },
    ...{ order: 'desc', offset: 0, limit: eventsMax, maxChars: pageCharsMax },
  });
  const metadata = Object.entries(record.metadata);
  const body = markup`${list(facts.filter(([, value]) => value !== ''))}
<h2>Metadata</h2>
${metadata.length === 0 ? markup`<p>None.</p>` : list(metadata)}
<h2>Events</h2>
${list(events.map((event) => [timeToWire(event.at), describe(event)] as const))}
${signOutForm}`;
  return renderPage(`Sandbox ${record.id}`, body);
}

function describe({ type, cause }: LifecycleEvent): string {
  return `${type} (${cause})`;
}

function list(facts: readonly (readonly [string, string])[]): Html {
  return markup`<dl>\n${facts.map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>`;
}
