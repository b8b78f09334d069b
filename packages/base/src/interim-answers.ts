import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest, InformationEvent } from 'node:http';

/** Answers with a 1xx status before the final one. Go's client takes 5; servers send one 100 and a few 103. */
export const maxInterimAnswers = 32;
/** Characters of all their header names and values. */
export const maxInterimChars = 64 * 1024;

/**
 * Makes every HTTP/1.1 request of this process fail whose server sends 1xx answers without end: Node takes any number of them, and no
 * limit of sizes or of silence notices. Through Node's channel, because libraries make requests that nobody else gets to see.
 * May be called more than once; all but the first do nothing.
 */
export function boundInterimAnswers(): void {
  if (isBound) return;
  isBound = true;
  // nodejs.org/api/diagnostics_channel.html, `http.client.request.created`.
  subscribe('http.client.request.created', (message) => watch((message as { request: ClientRequest }).request));
}

let isBound = false;

function watch(request: ClientRequest): void {
  const budget = createInterimBudget();
  request.on('information', ({ rawHeaders }: InformationEvent) => {
    if (!budget.spend(rawHeaders)) request.destroy(new Error('The server sent too many interim responses.'));
  });
}

/** What one request may get before its answer. */
export interface InterimBudget {
  /** False when it is used up. */
  spend(rawHeaders: readonly string[]): boolean;
}

export function createInterimBudget(): InterimBudget {
  let count = 0;
  let chars = 0;
  return {
    spend(rawHeaders) {
      count += 1;
      for (const text of rawHeaders) chars += text.length;
      return count <= maxInterimAnswers && chars <= maxInterimChars;
    },
  };
}
