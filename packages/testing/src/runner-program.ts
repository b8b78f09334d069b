// A runner with the real drivers and the real envd, as a process that a test may kill: does what the JSON lines on its standard input
// say, and answers each. Arguments: instance number, data folder.
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { DescMessage, Message } from '@bufbuild/protobuf';
import { toJson } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createLogger, loadConfig, silentLogger } from '@soulbox/base';
import { createDrivers, defaultTemplate } from '@soulbox/box';
import { envdPort } from '@soulbox/contract';
import { RunnerService } from '@soulbox/contract/runner';
import { buildEnvdRuntime } from '@soulbox/envd/build';
import { openNetwork } from '@soulbox/network';
import { runnerConfigSchema, startRunner } from '@soulbox/runner';
import { openStateStore } from '@soulbox/states';
import { openTemplateStore } from '@soulbox/templates';
import { testTemplatesDirectory } from './server-process.ts';

const [instanceText = '', dataDirectory = ''] = process.argv.slice(2);
const instance = Number(instanceText);
const logger = createLogger({ level: 'info', file: join(dataDirectory, 'runner.log') });
const network = await openNetwork({ instance, logger, nameServers: ['1.1.1.1'] });
const states = await openStateStore({ directory: dataDirectory, logger });
const runner = await startRunner({
  config: { ...loadConfig(runnerConfigSchema, {}), instance, poolSize: 0 },
  dataDirectory,
  drivers: await createDrivers(instance, logger),
  network,
  states,
  templates: openTemplateStore(testTemplatesDirectory, silentLogger),
  runtime: await buildEnvdRuntime(join(dataDirectory, 'runtime')),
  defaultTemplate,
  logger,
});
const client = createClient(RunnerService, runner.transport);

/** Whether envd answers on a connection of the gateway's kind. */
async function ask(sandboxId: string): Promise<boolean> {
  const connection = await runner.router.dial(sandboxId, envdPort);
  try {
    return await new Promise<boolean>((resolve, reject) => {
      connection.once('error', reject);
      connection.once('data', (data: Buffer) => resolve(data.toString().startsWith('HTTP/1.1 204')));
      connection.write('GET /health HTTP/1.1\r\nhost: envd\r\nconnection: close\r\n\r\n');
    });
  } finally {
    connection.destroy();
  }
}

async function stop(): Promise<void> {
  await runner[Symbol.asyncDispose]();
  await states[Symbol.asyncDispose]();
  await network.close();
}

type Method = keyof typeof RunnerService.method;

/** Methods that are not the runner's. */
const own = {
  ask,
  wake: async (sandboxId: string) => await runner.router.wake(sandboxId),
  stop,
} satisfies Record<string, (sandboxId: string) => Promise<unknown>>;

async function perform(method: string, request: object): Promise<unknown> {
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
process.stdout.write('{"id":0}\n');
