import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
// The default import, because the supervisor loads this file too, in a process without the flag that enables vm
// modules.
import vm from 'node:vm';
import type { Context } from 'node:vm';
import { sendResponse, toRequest } from './edge-exchange.ts';
import type { EdgeGlobals } from './edge-exchange.ts';
import type { EdgeSettings } from './edge-settings.ts';

/** Folder of the npm package in the template. */
const edgeRuntimeFolder = '/opt/soulbox/edge/';

interface EdgeRuntimePackage {
  readonly EdgeRuntime: new (options: { extend: (context: object) => object }) => {
    readonly context: Context & EdgeGlobals;
  };
}

/** The second argument of a handler, as Vercel documents it. */
interface EdgeContext {
  waitUntil(work: unknown): void;
}

type Handler = (request: unknown, context: EdgeContext) => unknown;

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * The edge engine: runs one function in edge-runtime, a `node:vm` context. The context is not a security boundary; the
 * sandbox around this process is.
 */
export async function runEdgeProgram(): Promise<void> {
  const settings = JSON.parse(await text(process.stdin)) as EdgeSettings;
  const { EdgeRuntime } = createRequire(edgeRuntimeFolder)('edge-runtime') as EdgeRuntimePackage;
  const { context } = new EdgeRuntime({
    extend: (globals) => Object.assign(globals, { process: { env: { ...settings.variables } }, console: edgeConsole }),
  });
  const handler = await load(settings.source, context);
  process.on('uncaughtException', (error) => {
    say('error', `Uncaught ${textOf(error)}`);
    process.exitCode = 1;
    setImmediate(() => process.kill(process.pid, 'SIGKILL'));
  });
  process.on('unhandledRejection', (reason) => say('error', `Unhandled rejection: ${textOf(reason)}`));

  const server = createServer((incoming, response) => {
    const request = toRequest(incoming, context);
    void (async () => {
      try {
        await sendResponse(await handler(request, { waitUntil }), response, incoming.method === 'HEAD');
      } catch (error) {
        say('error', `Uncaught ${textOf(error)}`);
        const message = `The function threw: ${error instanceof Object && 'message' in error ? String(error.message) : String(error)}`;
        if (response.headersSent) response.destroy();
        else
          response.writeHead(500, { 'content-type': 'application/json' }).end(JSON.stringify({ code: 500, message }));
      }
    })();
  });
  server.keepAliveTimeout = 60_000;
  server.requestTimeout = 0;
  server.on('upgrade', (_request: IncomingMessage, socket) => {
    const body = JSON.stringify({
      code: 501,
      message: 'Edge functions have no server side of WebSockets. Use kind workers.',
    });
    socket.end(
      `HTTP/1.1 501 Not Implemented\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  });
  await new Promise<void>((resolve) => server.listen(settings.requests, resolve));
  createServer((_request, response) => response.writeHead(204).end()).listen(settings.ping);
}

async function load(source: string, context: Context): Promise<Handler> {
  try {
    const module = new vm.SourceTextModule(source, { context, identifier: 'function.js' });
    await module.link((specifier) => {
      throw new Error(`No such module "${specifier}": the function must be one bundled module`);
    });
    await module.evaluate();
    return handlerOf(module.namespace as Record<string, unknown>);
  } catch (error) {
    say('error', `Uncaught ${textOf(error)}`);
    // Ends this process, because nothing listens yet.
    throw error;
  }
}

/** The default export, or one function per method. */
function handlerOf(exported: Record<string, unknown>): Handler {
  const { default: whole } = exported;
  if (typeof whole === 'function') return whole as Handler;
  const byMethod = new Map(
    methods.flatMap((name) => (typeof exported[name] === 'function' ? [[name, exported[name] as Handler]] : [])),
  );
  if (byMethod.size === 0)
    throw new TypeError('the module exports neither a default function nor one named after a method');
  return (request, context) => {
    const { method } = request as { method: string };
    const handler = byMethod.get(method) ?? (method === 'HEAD' ? byMethod.get('GET') : undefined);
    if (handler === undefined)
      return { status: 405, headers: new Headers({ allow: [...byMethod.keys()].join(', ') }), body: null };
    return handler(request, context);
  };
}

/** A failure is logged only, because the response has already been sent. */
function waitUntil(work: unknown): void {
  Promise.resolve(work).catch((error: unknown) => say('error', `waitUntil: ${textOf(error)}`));
}

function textOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('stack' in error) || typeof error.stack !== 'string')
    return typeof error === 'string' ? error : inspect(error);
  // Only frames of the function. Frames of this program mean nothing to its author.
  const lines = error.stack.split('\n');
  return lines.filter((line) => !/^\s+at /.test(line) || line.includes('function.js')).join('\n');
}

function say(level: string, message: string): void {
  process.stdout.write(`${JSON.stringify({ level, message })}\n`);
}

const edgeConsole = Object.fromEntries(
  ['debug', 'log', 'info', 'warn', 'error', 'trace'].map((level) => [
    level,
    (...values: unknown[]) =>
      say(level, values.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' ')),
  ]),
);
