import { create, toBinary } from '@bufbuild/protobuf';
import { AcknowledgeResponseSchema, ProcessSchema, WaitResponseSchema } from '@soulbox/contract/process-v1';
import { expect, test } from 'vitest';
import { connectionFrom } from './config.ts';
import { openEnvd } from './envd.ts';
import { createProcesses } from './processes.ts';
import type { Processes } from './processes.ts';
import { startServer } from './testing/start-server.ts';
import type { Answer, TestServer } from './testing/start-server.ts';

const protobuf = (body: Uint8Array): Answer => ({
  status: 200,
  headers: { 'content-type': 'application/proto' },
  body,
});
const answers = {
  Get: toBinary(WaitResponseSchema, create(WaitResponseSchema, { process: create(ProcessSchema, { pid: 7 }) })),
  Wait: toBinary(WaitResponseSchema, create(WaitResponseSchema, { process: { id: 'p', exit: { code: 3 } } })),
  Acknowledge: toBinary(AcknowledgeResponseSchema, create(AcknowledgeResponseSchema)),
};

function processesOf({ url }: Pick<TestServer, 'url'>): Processes {
  const access = { sandboxId: 'i1', sandboxDomain: undefined, envdAccessToken: 't', trafficAccessToken: undefined };
  return createProcesses(openEnvd(connectionFrom({ apiUrl: url, apiKey: '' }), access));
}

test('a wait and an acknowledgement survive a server that is away for a second', async () => {
  const back = { at: 0 };
  await using server = await startServer(({ line }) => {
    if (Date.now() < back.at) return { status: 503, body: 'restarting' };
    return protobuf(answers[line.split('/').at(-1) as keyof typeof answers]);
  });
  const process = await processesOf(server).get('p');
  for (const call of [async () => await process.wait(), async () => await process.acknowledge(5)]) {
    back.at = Date.now() + 1000;
    await call();
    expect(Date.now()).toBeGreaterThanOrEqual(back.at);
  }
  expect((await process.wait()).code).toBe(3);
});
