import type { IncomingMessage, ServerResponse } from 'node:http';
import { headers } from '@soulbox/contract';
import type { Context } from './context.ts';
import type { CodeContext } from './contexts/code-context.ts';
import { readGlobals } from './contexts/globals.ts';
import type { LanguageChoice } from './kernels/languages.ts';
import { findLanguage, languages } from './kernels/languages.ts';
import { asciiJson } from './server/ascii-json.ts';
import { openExecutionStream } from './server/execution-stream.ts';
import { readJson, readText, readTexts } from './server/read-json.ts';
import { Refusal } from './server/refusal.ts';

type Handler = (
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
  id: string,
) => Promise<void> | void;

/** `:id` is one segment of the path. */
const routes: Readonly<Record<string, Handler>> = {
  'GET /health': (_context, _request, response) => sendJson(response, 'OK'),
  'POST /execute': execute,
  'GET /contexts': ({ contexts }, _request, response) => sendJson(response, contexts.list().map(describe)),
  'POST /contexts': createContext,
  'DELETE /contexts/:id': async ({ contexts }, _request, response, id) => {
    await contexts.remove(id);
    sendJson(response, null);
  },
  'POST /contexts/:id/restart': async ({ contexts }, _request, response, id) => {
    await contexts.restart(id);
    sendJson(response, null);
  },
};

/** Handles every request. Errors become a status and a text here and nowhere else. */
export async function handleRequest(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const [path = '/'] = (request.url ?? '/').split('?');
    const [, collection = '', id = '', action] = path.split('/');
    const form = id === '' ? `/${collection}` : `/${collection}/:id${action === undefined ? '' : `/${action}`}`;
    const handle = routes[`${request.method ?? ''} ${form}`];
    if (handle === undefined) throw new Refusal(404, `Path ${path} was not found`);
    await handle(context, request, response, id);
  } catch (error) {
    refuse(response, error);
  }
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = error instanceof Refusal ? error.status : 500;
  const text = error instanceof Error ? error.message : 'The request failed';
  // The rest of a body that is too long is not read.
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
  response.end(text);
}

async function execute(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readJson(request);
  const code = readText(body, 'code');
  if (code === undefined) throw new Refusal(400, 'code is missing');
  const variables = readTexts(body, 'env_vars');
  const chosen = await choose(context, readText(body, 'context_id'), readText(body, 'language'));
  const token = request.headers[headers.accessToken];
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const stream = openExecutionStream(response);
  try {
    await chosen.codeContext.execute({
      code,
      dialect: chosen.dialect,
      variables,
      readGlobals: async () => await readGlobals(context.config.envdUrl, typeof token === 'string' ? token : undefined),
      emit: (output) => stream.emit(output),
      signal: gone.signal,
    });
  } catch (error) {
    const value = error instanceof Error ? error.message : 'unknown';
    void stream.emit({ type: 'error', name: 'ExecutionAborted', value, traceback: '' });
  }
  stream.end();
}

interface Chosen {
  readonly codeContext: CodeContext;
  readonly dialect: { readonly isTypescript: boolean };
}

async function choose({ contexts }: Context, id: string | undefined, language: string | undefined): Promise<Chosen> {
  if (id !== undefined && language !== undefined)
    throw new Refusal(400, 'Only one of context_id or language can be provided');
  // E2B's first clients used the id `default` for the default context.
  if (id !== undefined && id !== 'default') {
    const codeContext = contexts.get(id);
    return { codeContext, dialect: codeContext.choice };
  }
  const choice = parseLanguage(language);
  return { codeContext: await contexts.getDefault(choice.language), dialect: choice };
}

async function createContext(
  { contexts, config }: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readJson(request);
  const choice = parseLanguage(readText(body, 'language'));
  sendJson(response, describe(await contexts.create(choice, readText(body, 'cwd') ?? config.home)));
}

function parseLanguage(name = 'python'): LanguageChoice {
  const choice = findLanguage(name);
  if (choice === undefined)
    throw new Refusal(400, `Language ${name.slice(0, 50)} is not one of ${languages.join(', ')}, typescript`);
  return choice;
}

const describe = ({ id, choice, cwd }: CodeContext): object => ({ id, language: choice.name, cwd });

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(asciiJson(value));
}
