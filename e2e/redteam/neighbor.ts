import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { Sandbox } from 'e2b';

export const neighborPort = 8080;

/** The sandbox of another team, which nothing may touch. */
export interface Neighbor {
  readonly sandbox: Sandbox;
  readonly apiKey: string;
  readonly token: string;
  readonly word: string;
  /** What is wrong with it: it changed, was started anew, or needs longer than `answerMs`. Empty if all is well. */
  findHarm(): Promise<string[]>;
}

/** The time for an answer while others do their worst. Long for a machine that others share, too. */
const answerMs = 5000;

interface State {
  readonly memory: boolean;
  readonly files: boolean;
  readonly startedAt: number;
}

/** `gatewayPort`: of the server. `queue`: the key of its message queue. */
export async function createNeighbor(
  apiKey: string,
  word: string,
  { gatewayPort, queue }: { gatewayPort: number; queue: number },
): Promise<Neighbor> {
  const sandbox = await Sandbox.create({ apiKey, timeoutMs: 3_600_000 });
  await sandbox.files.write('/home/user/neighbor.py', await readFile(join(import.meta.dirname, 'neighbor.py'), 'utf8'));
  const command = `exec python3 /home/user/neighbor.py ${word} ${neighborPort} ${queue}`;
  await sandbox.commands.run(command, { background: true, timeoutMs: 0 });
  const ask = async (): Promise<State> => await askState(sandbox.sandboxId, gatewayPort);
  const first = await firstAnswer(ask);
  return {
    ...{ sandbox, apiKey, word },
    token: (sandbox as unknown as { envdAccessToken: string }).envdAccessToken,
    async findHarm() {
      try {
        const state = await ask();
        const harm: string[] = [];
        if (!state.memory) harm.push('the memory of the neighbor has changed');
        if (!state.files) harm.push('a file of the neighbor has changed');
        if (state.startedAt !== first.startedAt) harm.push('the program of the neighbor was started anew');
        return harm;
      } catch (error) {
        return [`the neighbor does not answer: ${error instanceof Error ? error.message : String(error)}`];
      }
    },
  };
}

async function firstAnswer(ask: () => Promise<State>): Promise<State> {
  const giveUpAt = Date.now() + 20_000;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
    }
  }
}

async function askState(sandboxId: string, port: number): Promise<State> {
  const text = await new Promise<string>((resolve, reject) => {
    const headers = { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': String(neighborPort) };
    const outgoing = request({ host: '127.0.0.1', port, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`status ${String(response.statusCode)}: ${body}`));
      });
    });
    outgoing.setTimeout(answerMs, () => outgoing.destroy(new Error(`no answer within ${answerMs} ms`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
  return JSON.parse(text) as State;
}
