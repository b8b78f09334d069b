import { errorFromUnknown } from '@soulbox/base';
import { errorForCaller, httpBodyFromError } from '@soulbox/contract';
import type { FastifyReply } from 'fastify';
import { markup, pageHeaders, renderPage } from '../pages/html.ts';
import type { Html } from '../pages/html.ts';

export async function sendPage(reply: FastifyReply, title: string, body: Html, status = 200): Promise<FastifyReply> {
  return await reply.code(status).headers(pageHeaders).send(renderPage(title, body));
}

/** Tells a person in a browser what failed. */
export async function sendFault(reply: FastifyReply, thrown: unknown): Promise<FastifyReply> {
  const error = errorFromUnknown(thrown);
  const { code } = httpBodyFromError(error);
  if (code === 429) void reply.header('retry-after', '60');
  const body = markup`<p role="alert"><strong>${errorForCaller(error).message}</strong></p>
<p><a href="/auth/sign-in">Sign in</a></p>`;
  return await sendPage(reply, 'Sign-in failed', body, code);
}

/** Sends the browser to another page by GET. */
export async function sendTo(reply: FastifyReply, url: string): Promise<FastifyReply> {
  return await reply.header('cache-control', 'no-store').redirect(url, 303);
}

/** Sends a person who has not signed in to the sign-in, and from there back. */
export async function sendToSignIn(reply: FastifyReply, returnTo: string): Promise<FastifyReply> {
  return await sendTo(reply, `/auth/sign-in?return_to=${encodeURIComponent(returnTo)}`);
}
