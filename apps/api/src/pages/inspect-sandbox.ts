import { SoulBoxError } from '@soulbox/base';
import type { LifecycleEvent, SandboxRecord } from '@soulbox/storage';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { callerOf, tryKey } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { timeToWire } from '../http/schemas.ts';
import { pageCharsMax } from '../limits.ts';
import { findOwn, isLive } from '../lookup/sandbox.ts';
import { markup, pageHeaders, renderPage } from './html.ts';
import type { Html } from './html.ts';
import { canBeCookie, keyCookie, noKeyCookie } from '../auth/key-cookie.ts';

const eventsMax = 50;
/** Bytes of the form, which contains a key and its field name. */
const formBytesMax = 4096;

const params = z.object({ sandboxID: z.string() });
const hidden = { schema: { hide: true, params } } as const;

/** The page to which the `e2b` CLI sends people: the facts of one sandbox, for a browser that has sent the key. */
export function addInspectPage(app: ApiApp, context: ApiContext): void {
  app.get(
    '/dashboard/inspect/sandbox/:sandboxID',
    { ...hidden, config: { auth: 'cookie' } },
    async (request, reply) => {
      if (request.caller === null || request.caller === undefined)
        return await sendForm(reply, request.params.sandboxID, { code: 401, fault: '' });
      const record = await findOwn(context, callerOf(request), request.params.sandboxID);
      if (record === undefined) return await sendMissing(reply, request.params.sandboxID);
      return await reply.headers(pageHeaders).send(await renderSandbox(context, record));
    },
  );

  // A form has its own content type, which no other route accepts.
  void app.register((scope: ApiApp, _options, done) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: formBytesMax },
      (_request, body, parsed) => parsed(null, Object.fromEntries(new URLSearchParams(body as string))),
    );
    const form = { ...hidden, config: { auth: 'none', room: 'own' } } as const;
    scope.post('/dashboard/inspect/sandbox/:sandboxID', form, async (request, reply) => {
      refuseOtherOrigins(request);
      const { sandboxID } = request.params;
      const key = (request.body as { readonly key?: string } | undefined)?.key?.trim() ?? '';
      if (!canBeCookie(key) || (await tryKey(key, context)) === undefined)
        return await sendForm(reply, sandboxID, { code: 401, fault: 'The API key is not valid.' });
      // Shown by GET, so that a reload does not send the key again.
      return await reply
        .header('set-cookie', keyCookie(request, key))
        .header('cache-control', 'no-store')
        .redirect(`/dashboard/inspect/sandbox/${encodeURIComponent(sandboxID)}`, 303);
    });
    scope.post('/dashboard/sign-out', { ...form, schema: { hide: true } }, async (request, reply) => {
      refuseOtherOrigins(request);
      return await reply.header('set-cookie', noKeyCookie(request)).redirect('/', 303);
    });
    done();
  });
}

/**
 * Throws `forbidden` for a form of another page: it could make the browser show the sandboxes of that page's author.
 */
function refuseOtherOrigins(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined) return;
  if (!URL.canParse(origin) || new URL(origin).host !== host)
    throw new SoulBoxError('forbidden', 'The form was sent from another origin.');
}

async function sendForm(
  reply: FastifyReply,
  sandboxId: string,
  { code, fault }: { readonly code: number; readonly fault: string },
): Promise<FastifyReply> {
  const told = fault === '' ? '' : markup`<p role="alert"><strong>${fault}</strong></p>`;
  const body = markup`<p>To see the sandbox <code>${shownId(sandboxId)}</code>, give an API key of its team. This browser keeps it for 8 hours.</p>
${told}
<form method="post">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="off" required maxlength="256">
<button>Show</button>
</form>`;
  return await reply.code(code).headers(pageHeaders).send(renderPage('A key is needed', body));
}

async function sendMissing(reply: FastifyReply, sandboxId: string): Promise<FastifyReply> {
  const what = markup`<code>${shownId(sandboxId)}</code>`;
  const body = markup`<p>The team of this key has no sandbox ${what}: it never had one, or it ended long ago.</p>
${signOut}`;
  return await reply.code(404).headers(pageHeaders).send(renderPage('Not found', body));
}

/** The id as typed, but limited in length. */
const shownId = (text: string): string => text.slice(0, 80);

const signOut = markup`<form method="post" action="/dashboard/sign-out"><button>Forget the key</button></form>`;

async function renderSandbox(context: ApiContext, record: SandboxRecord): Promise<string> {
  const facts: readonly (readonly [string, string])[] = [
    ['State', record.state !== 'ended' && !isLive(record, context) ? 'ended' : record.state],
    ['Why', record.cause],
    ['Since', timeToWire(record.stateSince)],
    ['Template', record.alias === '' ? record.templateId : `${record.alias} (${record.templateId})`],
    ['Started', timeToWire(record.startedAt)],
    ['Ends', record.state === 'running' ? timeToWire(record.endAt) : ''],
    ['At its end', record.lifecycle.onTimeout],
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
${signOut}`;
  return renderPage(`Sandbox ${record.id}`, body);
}

function describe({ type, cause }: LifecycleEvent): string {
  return `${type} (${cause})`;
}

function list(facts: readonly (readonly [string, string])[]): Html {
  return markup`<dl>\n${facts.map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>`;
}
