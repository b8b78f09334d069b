import { Agent, request } from 'node:http';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import { testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { startBareWorkerd } from '../engines/bare-workerd.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';

const source = 'export default { fetch: () => new Response("hello") };';
const connections = 32;
const windowMs = 3000;
/** Each gives one sample. */
const windows = 3;

const aims = {
  alone: [{ at: 'p50', atMost: 0.8 }],
  rate: [{ at: 'p50', atLeast: 8000 }],
} as const;

/** Where requests for a function are sent: to its host name at the gateway, or to bare workerd. */
interface Target {
  readonly port: number;
  readonly host: string;
}

export const functions: Measurement = {
  name: 'functions',
  async *run(lab) {
    const template = await openTemplateStore(testTemplatesDirectory, silentLogger).find('edge');
    if (template === undefined) {
      yield { what: 'edge functions', skipped: 'the template edge has not been made' };
      return;
    }
    const { warm } = lab;
    const target = { port: warm.port, host: 'fn-bench.soulbox.localhost' };
    // The first deployment fills the template's pool.
    await deploy(warm);
    await remove(warm);
    yield await measureDeploys(lab, target);
    const sandboxId = await deploy(warm);
    yield* await measureRequests(lab, target, 'function');
    await using bare = await startBareWorkerd(template.rootfs, source);
    yield* await measureRequests(lab, { port: bare.port, host: 'localhost' }, 'bare workerd');
    yield await measureWakes(lab, target, sandboxId);
    await remove(warm);
  },
};

async function measureDeploys(lab: Lab, target: Target): Promise<Figure> {
  const rounds = Math.ceil(lab.rounds / 5);
  lab.progress(`deploy of a new function to its first answer, ${rounds} times`);
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    samples.push(
      await timeMs(async () => {
        await deploy(lab.warm);
        await ask(target);
      }),
    );
    await remove(lab.warm);
  }
  return { what: 'deploy of a Worker to its first answer', unit: 'ms', samples };
}

async function measureRequests(lab: Lab, target: Target, what: string): Promise<[Figure, Figure]> {
  const isOurs = what === 'function';
  lab.progress(`requests to a ${what}: one after the other, then ${connections} connections`);
  using agent = keepingAgent();
  const alone: number[] = [];
  const count = lab.rounds * 10;
  for (let round = -100; round < count; round++) {
    const elapsed = await timeMs(() => ask(target, agent));
    if (round >= 0) alone.push(elapsed);
  }
  const rates: number[] = [];
  for (let window = 0; window < windows; window++) rates.push(await rateOf(target, agent));
  const note = 'the client runs on the same cores';
  return [
    { what: `request to a ${what}, warm`, unit: 'ms', samples: alone, ...(isOurs && { aims: aims.alone }) },
    {
      what: `${connections} connections to a ${what}`,
      unit: 'requests/s',
      samples: rates,
      note,
      ...(isOurs && { aims: aims.rate }),
    },
  ];
}

async function measureWakes(lab: Lab, target: Target, sandboxId: string): Promise<Figure> {
  const rounds = Math.ceil(lab.rounds / 5);
  lab.progress(`wake of a sleeping function by a request, ${rounds} times`);
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await lab.call(lab.warm, 'POST', `/sandboxes/${sandboxId}/pause`);
    samples.push(await timeMs(() => ask(target)));
  }
  return { what: 'request that wakes a sleeping function', unit: 'ms', samples };
}

async function rateOf(target: Target, agent: Agent): Promise<number> {
  const startedAt = performance.now();
  let answers = 0;
  const ends = startedAt + windowMs;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < ends) {
        await ask(target, agent);
        answers += 1;
      }
    }),
  );
  return answers / ((performance.now() - startedAt) / 1000);
}

function keepingAgent(): Agent & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}

async function ask({ port, host }: Target, agent?: Agent): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, headers: { host }, agent: agent ?? false };
    const outgoing = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part: string) => (body += part));
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`status ${String(response.statusCode)}: ${body}`));
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

async function deploy(server: ServerProcess): Promise<string> {
  const response = await call(server, 'POST', '/functions', { name: 'bench', source, limits: { idleSeconds: 3600 } });
  return ((await response.json()) as { sandboxID: string }).sandboxID;
}

async function remove(server: ServerProcess): Promise<void> {
  await call(server, 'DELETE', '/functions/bench');
}

async function call(server: ServerProcess, method: string, path: string, body?: object): Promise<Response> {
  const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = server.clientEnvironment;
  const response = await fetch(url + path, {
    method,
    headers: { 'x-api-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${String(response.status)} ${await response.text()}`);
  return response;
}
