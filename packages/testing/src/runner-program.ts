// A runner with the real drivers and the real envd, as a process that a test may kill. It executes the JSON lines on
// its standard input and answers each one. Arguments: instance number, data folder, folder of the templates. It reads
// the environment like a server.
import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import type { AgentOptions } from 'node:http';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { DescMessage, JsonValue, Message } from '@bufbuild/protobuf';
import { fromJson, toJson } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { createLogger, loadConfig, silentLogger } from '@soulbox/base';
import { createDrivers, defaultTemplate } from '@soulbox/runner/process';
import { envdPort } from '@soulbox/contract';
import {
  RunBuildRequestSchema,
  RunBuildResponseSchema,
  RunnerService,
  WatchEventsResponseSchema,
} from '@soulbox/contract/runner';
import { Process } from '@soulbox/contract/process';
import { buildEnvdBundle } from '@soulbox/envd/build';
import { openNetwork } from '@soulbox/network';
import { createOutsidePolicy } from '@soulbox/network/outside';
import { runnerConfigSchema, startRunner } from '@soulbox/runner';
import { openCheckpointStore } from '@soulbox/checkpoints';
import { openDiskBlobs, openDiskReserve } from '@soulbox/storage';
import { openTemplateStore } from '@soulbox/templates';

const [instanceText = '', dataDirectory = '', templatesDirectory = ''] = process.argv.slice(2);
const instance = Number(instanceText);
const logger = createLogger({ level: 'info', file: join(dataDirectory, 'runner.log') });
const network = await openNetwork({ instance, logger, nameServers: ['1.1.1.1'] });
const checkpoints = await openCheckpointStore({ directory: dataDirectory, logger });
const files = await openDiskBlobs({ directory: join(dataDirectory, 'uploads') });
const runner = await startRunner({
  config: { ...loadConfig(runnerConfigSchema, process.env), instance, poolSize: 0 },
  dataDirectory,
  drivers: await createDrivers(instance, logger),
  network,
  checkpoints,
  templates: openTemplateStore(templatesDirectory, silentLogger),
  dependencyBlobs: await openDiskBlobs({ directory: join(dataDirectory, 'dependencies') }),
  recipes: [],
  envdBundle: await buildEnvdBundle(join(dataDirectory, 'runtime')),
  files,
  reserve: openDiskReserve(join(dataDirectory, 'reserve')),
  outside: createOutsidePolicy(),
  defaultTemplate,
  logger,
});
const client = createClient(RunnerService, runner.transport);

/** More than a disk may hold to be copied next to its sandbox (docs/decisions/013). */
const largeBytes = 80 * 2 ** 20;

/** Whether envd answers on a connection like those of the gateway. */
async function ask(sandboxId: string): Promise<boolean> {
  return (await askEnvd(sandboxId, 'GET /health')) === 204;
}

/** Makes the disk of a sandbox large. The sandbox must not have an access token. */
async function fill(sandboxId: string): Promise<boolean> {
  return (await askEnvd(sandboxId, 'POST /files?path=/large&username=root', randomBytes(largeBytes))) === 200;
}

/** Returns the status of envd's answer. */
async function askEnvd(sandboxId: string, request: string, body = Buffer.alloc(0)): Promise<number> {
  const connection = await runner.router.dial(sandboxId, envdPort);
  try {
    return await new Promise<number>((resolve, reject) => {
      connection.once('error', reject);
      connection.once('data', (data: Buffer) => resolve(Number(data.toString('latin1').split(' ')[1])));
      const type = `content-type: application/octet-stream\r\ncontent-length: ${body.length}`;
      connection.write(`${request} HTTP/1.1\r\nhost: envd\r\nconnection: close\r\n${type}\r\n\r\n`);
      connection.write(body);
    });
  } finally {
    connection.destroy();
  }
}

async function stop(): Promise<void> {
  await runner[Symbol.asyncDispose]();
  await checkpoints[Symbol.asyncDispose]();
  await files[Symbol.asyncDispose]();
  await network.close();
}

type Method = keyof typeof RunnerService.method;

/** Methods that the runner itself does not have. */
const own = {
  ask,
  fill,
  wake: async (sandboxId: string) => await runner.router.wake(sandboxId),
  stop,
} satisfies Record<string, (sandboxId: string) => Promise<unknown>>;

/**
 * Returns the output of a command in a sandbox without an access token. The command runs as the default user through
 * envd, as with the official clients.
 */
async function shell({ sandboxId, command }: { sandboxId: string; command: string }): Promise<{ output: string }> {
  const createConnection = (
    _options: AgentOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined => {
    runner.router.dial(sandboxId, envdPort).then(
      (socket) => callback?.(null, socket),
      (error: unknown) => callback?.(error as Error, undefined as unknown as Duplex),
    );
    return undefined;
  };
  const agent = Object.assign(new Agent(), { createConnection });
  const transport = createConnectTransport({ baseUrl: 'http://envd', httpVersion: '1.1', nodeOptions: { agent } });
  const decoder = new TextDecoder();
  let output = '';
  const process = { cmd: '/bin/sh', args: ['-l', '-c', `{ ${command}; } 2>&1`] };
  for await (const { event } of createClient(Process, transport).start({ process }))
    if (event?.event.case === 'data' && event.event.value.output.case === 'stdout')
      output += decoder.decode(event.event.value.output.value, { stream: true });
  return { output };
}

const builds = new Map<string, AbortController>();

/** Returns all events of a build, in JSON form. */
async function runBuild(request: object): Promise<{ events: unknown[] }> {
  const message = fromJson(RunBuildRequestSchema, request as JsonValue);
  const cancel = new AbortController();
  builds.set(message.buildId, cancel);
  const events: unknown[] = [];
  try {
    for await (const event of client.runBuild(message, { signal: cancel.signal }))
      events.push(toJson(RunBuildResponseSchema, event));
  } finally {
    builds.delete(message.buildId);
  }
  return { events };
}

/** `setDeadline` with a time in a form that JSON has. */
async function moveDeadline({ sandboxId, endAtMs }: { sandboxId: string; endAtMs: number }): Promise<object> {
  await client.setDeadline({ sandboxId, endAt: timestampFromMs(endAtMs) });
  return {};
}

async function perform(method: string, request: object): Promise<unknown> {
  if (method === 'runBuild') return await runBuild(request);
  if (method === 'shell') return await shell(request as { sandboxId: string; command: string });
  if (method === 'moveDeadline') return await moveDeadline(request as { sandboxId: string; endAtMs: number });
  if (method === 'cancelBuild') return builds.get((request as { buildId: string }).buildId)?.abort();
  if (method in own) return await own[method as keyof typeof own]((request as { sandboxId: string }).sandboxId);
  const call = client[method as Method] as (request: object) => Promise<Message>;
  return toJson(RunnerService.method[method as Method].output as DescMessage, await call(request));
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, request } = JSON.parse(line) as { id: number; method: string; request: object };
  const answer = (outcome: object): void => void process.stdout.write(`${JSON.stringify({ id, ...outcome })}\n`);
  perform(method, request).then(
    (result) => answer({ result: result ?? {} }),
    (error: unknown) => answer({ error: error instanceof Error ? error.message : String(error) }),
  );
});
/** Follows events like the control plane, and prints them. */
async function tellEvents(): Promise<void> {
  for await (const event of client.watchEvents({}))
    process.stdout.write(`${JSON.stringify({ event: toJson(WatchEventsResponseSchema, event) })}\n`);
}
void tellEvents().catch(() => undefined);
process.stdout.write('{"id":0}\n');
