// A runner with the real drivers and the real envd, as a process that a test may kill. It executes the JSON lines on
// its standard input and answers each one. Arguments: instance number, data folder, folder of the templates. It reads
// the environment like a server.
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { DescMessage, JsonValue, Message } from '@bufbuild/protobuf';
import { fromJson, toJson } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { Secret } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { createLogger, silentLogger } from '@soulbox/base/logger';
import { openClearFolder } from '@soulbox/isolation';
import { fileMasterKeys } from '@soulbox/keyring';
import { checkpointKeys, createDrivers, defaultTemplate, openRunnerKeys } from '@soulbox/runner/process';
import type { Dial } from '@soulbox/contract';
import {
  RunBuildRequestSchema,
  RunBuildResponseSchema,
  RunnerService,
  WatchEventsResponseSchema,
} from '@soulbox/contract/runner';
import { buildEnvdBundle } from '@soulbox/envd/build';
import { createEnvdClient, createPrograms } from '@soulbox/envd-client';
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
const reserve = openDiskReserve(join(dataDirectory, 'reserve'));
const masterKeys = fileMasterKeys(join(dataDirectory, 'secrets', 'master-key'));
const keyring = await openRunnerKeys({
  ...{ path: join(dataDirectory, 'runner-keys.json'), dataDirectory },
  ...{ sources: [masterKeys], reserve },
});
const checkpoints = await openCheckpointStore({
  directory: dataDirectory,
  clearDirectory: await openClearFolder(instance),
  keys: checkpointKeys(keyring),
  logger,
});
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
  reserve,
  keyring,
  outside: createOutsidePolicy(),
  defaultTemplate,
  logger,
});
const client = createClient(RunnerService, runner.transport);

/** More than a disk may hold to be copied next to its sandbox (docs/decisions/013). */
const largeBytes = 80 * 2 ** 20;

const dialOf =
  (sandboxId: string): Dial =>
  async (port) =>
    await runner.router.dial(sandboxId, port);

/** Whether envd answers on a connection like those of the gateway. */
async function ask(sandboxId: string): Promise<boolean> {
  // envd answers this call without the host's token.
  return await createEnvdClient(dialOf(sandboxId), new Secret('')).isHealthy();
}

/** Makes the disk of a sandbox large. The sandbox must not have an access token. */
async function fill(sandboxId: string): Promise<void> {
  await createPrograms(dialOf(sandboxId), '').upload('/large', randomBytes(largeBytes), { user: 'root' });
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
  const programs = createPrograms(dialOf(sandboxId), '');
  const decoder = new TextDecoder();
  let output = '';
  const program = { command: '/bin/sh', args: ['-l', '-c', `{ ${command}; } 2>&1`] };
  await programs.run(program, (_channel, bytes) => {
    output += decoder.decode(bytes, { stream: true });
  });
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
