import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest, InformationEvent } from 'node:http';

/**
 * The maximum number of 1xx answers before the final one. Go's client accepts 5; servers send one 100 and a few 103.
 */
export const maxInterimAnswers = 32;
/** The maximum number of characters in all their header names and values. */
export const maxInterimChars = 64 * 1024;

/**
 * Makes an HTTP/1.1 request of this process fail if its server sends 1xx answers without end. Node accepts any number
 * of them, and no limit on size or silence notices them. This uses Node's diagnostics channel, because libraries make
 * requests that are not visible otherwise. It may be called more than once; only the first call has an effect.
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
  const count = ({ rawHeaders }: InformationEvent): void => {
    if (budget.spend(rawHeaders)) return;
    // The parser still finishes everything that arrived in one read: more than a thousand, each with an error's stack.
    request.off('information', count);
    request.destroy(new Error('The server sent too many interim responses.'));
  };
  request.on('information', count);
}

/** What one request may receive before its final answer. */
export interface InterimBudget {
  /** Returns false once the budget is exceeded. */
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
