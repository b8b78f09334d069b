import { Agent, request } from 'node:http';
import { isSignedWith, parseSignedRequest, signedTarget } from '@soulbox/contract/signed-url';
import type { ServerProcess } from '@soulbox/testing';
import { callApi } from '../lab.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';

const checksPerSample = 2000;
const port = 8000;

/** What a signature costs: the computation itself, and a request for a port of a sandbox with and without one. */
export const signedUrls: Measurement = {
  name: 'signed',
  async *run(lab) {
    yield measureChecks(lab);
    const sandbox = await lab.create(lab.warm);
    await sandbox.files.write('/tmp/site/page.txt', 'page');
    await sandbox.commands.run(`python3 -m http.server ${port} --directory /tmp/site`, { background: true });
    const path = `/sandboxes-http/${port}-${sandbox.sandboxId}/page.txt`;
    const sign = async (once: boolean): Promise<Target> => {
      const { host: named, pathname, search } = new URL(await signUrl(lab.warm, { url: path, once }));
      return { path: pathname + search, host: named };
    };
    const host = `${port}-${sandbox.sandboxId}.soulbox.localhost`;
    yield* await measureRequests(lab, { unsigned: { path: '/page.txt', host }, sign });
    await sandbox.kill();
  },
};

/** Parses a request and compares its signature, as the control plane does for each. */
function measureChecks(lab: Lab): Figure {
  lab.progress(`checks of a signature, ${checksPerSample} at a time`);
  const key = Buffer.alloc(32, 1);
  const grant = {
    ...{ keyId: 'sabcdefghijkl', signerId: '123e4567-e89b-12d3-a456-426614174000', expiresAt: 4_000_000_000 },
    ...{ nonce: 'AAECAwQFBgcICQoLDA0ODw', once: false },
  };
  const own = [['path', '/home/user/report.pdf'] as const, ['username', 'user'] as const];
  const host = '49983-iaaaaaaaaaaaaaaaaaaaa.box.example';
  const target = signedTarget({ method: 'GET', host, path: '/files', own, grant }, key);
  const samples: number[] = [];
  for (let round = -3; round < lab.rounds; round++) {
    const startedAt = performance.now();
    for (let n = 0; n < checksPerSample; n++) {
      const parsed = parseSignedRequest({ method: 'GET', authority: host, target });
      if (parsed.kind !== 'signed' || !isSignedWith(parsed.request, key)) throw new Error('the signature is not valid');
    }
    if (round >= 0) samples.push(checksPerSample / ((performance.now() - startedAt) / 1000));
  }
  return { what: 'checks of a signature, without records', unit: '1/s', samples };
}

interface Target {
  readonly path: string;
  readonly host: string;
}

/** Takes turns, so that a slow moment of the machine hits all. */
async function measureRequests(
  lab: Lab,
  { unsigned, sign }: { unsigned: Target; sign: (once: boolean) => Promise<Target> },
): Promise<Figure[]> {
  const rounds = lab.rounds * 3;
  lab.progress(`requests for a port of a sandbox, without and with a signature, ${rounds} of each`);
  using agent = keepingAgent();
  const signed = await sign(false);
  const plain: number[] = [];
  const many: number[] = [];
  const single: number[] = [];
  for (let round = -20; round < rounds; round++) {
    const oneTime = await sign(true);
    const times = [
      await timeMs(() => ask(lab.warm.port, unsigned, agent)),
      await timeMs(() => ask(lab.warm.port, signed, agent)),
      await timeMs(() => ask(lab.warm.port, oneTime, agent)),
    ] as const;
    if (round >= 0) for (const [index, list] of [plain, many, single].entries()) list.push(times[index] ?? 0);
  }
  const what = 'request for a port of a sandbox';
  return [
    { what, unit: 'ms', samples: plain },
    { what: `${what}, signed URL`, unit: 'ms', samples: many },
    { what: `${what}, one-time URL`, unit: 'ms', samples: single, note: 'each is recorded as used' },
  ];
}

function keepingAgent(): Agent & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}

async function ask(gatewayPort: number, { path, host }: Target, agent: Agent): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const options = { host: '127.0.0.1', port: gatewayPort, path, headers: { host }, agent };
    const outgoing = request(options, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`status ${String(response.statusCode)}`));
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

async function signUrl(server: ServerProcess, body: object): Promise<string> {
  const answer = await callApi(server, 'POST', '/signed-urls', body);
  if (answer.status !== 201) throw new Error(await answer.text());
  return ((await answer.json()) as { url: string }).url;
}
