import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { ServerProcess } from '@soulbox/testing';
import { findFreePort, listHostTraces, startServer, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import { baseRecipe, ensureTemplate, openTemplateStore } from '@soulbox/templates';
import { createDrivers } from '@soulbox/box/drivers';
import type { DriverCapabilities } from '@soulbox/isolation';
import type { TestProject } from 'vitest/node';

/** Values that every end-to-end test file can `inject`. */
export interface TestServer {
  readonly pid: number;
  readonly port: number;
  readonly tlsPort: number;
  readonly dataDirectory: string;
  /** Variables for the official clients over plain HTTP. */
  readonly plain: Readonly<Record<string, string>>;
  /** The same over TLS. */
  readonly tls: Readonly<Record<string, string>>;
  /** The isolation of its sandboxes, and its capabilities: see harness/needs.ts. */
  readonly isolation: string;
  readonly instance: number;
  readonly capabilities: DriverCapabilities;
}

declare module 'vitest' {
  interface ProvidedContext {
    server: TestServer;
  }
}

const logLines = 100_000;
const complaintsShown = 50;
/** Characters of a message. */
const messageShown = 300;

/** Two runs side by side need different instances and folders. */
const projects = {
  e2e: { isolation: 'container', instance: 1 },
  'e2e-alone': { isolation: 'container', instance: 1 },
  'e2e-operators': { isolation: 'container', instance: 1 },
  'e2e-gvisor': { isolation: 'gvisor', instance: 3 },
  'e2e-gvisor-alone': { isolation: 'gvisor', instance: 3 },
  proofs: { isolation: 'container', instance: 7 },
  workloads: { isolation: 'container', instance: 1 },
} as const;

/** One server for all files, as people use it. It starts only once. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { isolation, instance } = projects[project.name as keyof typeof projects];
  const dataDirectory = join(testDirectory, project.name);
  const capabilities = (await createDrivers(instance, silentLogger)).get(isolation)?.capabilities;
  if (capabilities === undefined) throw new Error(`There is no driver ${isolation}.`);
  await ensureTemplate(openTemplateStore(testTemplatesDirectory, silentLogger), baseRecipe, {
    logger: silentLogger,
    onProgress: (step) => console.log(`base template: ${step}`),
  });
  await removeLeftovers(instance, dataDirectory);
  const environment = { SOULBOX_ISOLATION: isolation, SOULBOX_SSH_PORT: String(await findFreePort()) };
  const server = await startServer({ instance, dataDirectory, environment });
  project.provide('server', {
    pid: server.pid,
    port: server.port,
    tlsPort: server.tlsPort,
    dataDirectory,
    plain: server.clientEnvironment,
    tls: server.tlsEnvironment,
    isolation,
    instance,
    capabilities,
  });
  return async () => {
    await server.stop();
    if (project.vitest.state.getCountOfFailedTests() > 0) console.log(await readComplaints(server));
    const left = await listHostTraces(instance, dataDirectory);
    if (left.length > 0) throw new Error(`The server left behind:\n${left.join('\n')}\n${await server.readLog()}`);
    await removeTree(dataDirectory);
  };
}

/** What the server logged as a warning or an error: it often tells why a test failed. */
async function readComplaints(server: ServerProcess): Promise<string> {
  const lines = (await server.readLog(logLines)).split('\n').filter((line) => /^\{"level":[456]0,/.test(line));
  return `The server's last warnings and errors:\n${lines.slice(-complaintsShown).map(inShort).join('\n')}`;
}

function inShort(line: string): string {
  const {
    time,
    part,
    sandboxId = '',
    msg,
    err,
  } = JSON.parse(line) as Readonly<Record<string, string>> & {
    readonly err?: { readonly message: string };
  };
  return `${time ?? ''} ${part ?? ''} ${sandboxId} ${msg ?? ''}: ${err?.message.slice(0, messageShown) ?? ''}`;
}

/** An aborted run leaves sandboxes. A server on the same folder finds and ends them. */
async function removeLeftovers(instance: number, dataDirectory: string): Promise<void> {
  const exists = await access(dataDirectory).then(
    () => true,
    () => false,
  );
  if (!exists && (await listHostTraces(instance)).length === 0) return;
  console.log('cleaning up after an earlier run');
  const server = await startServer({ instance, dataDirectory, poolSize: 0 });
  await server.stop();
  await removeTree(dataDirectory);
}
