import { create, toBinary } from '@bufbuild/protobuf';
import {
  AcknowledgeResponseSchema,
  CloseInputResponseSchema,
  ProcessSchema,
  WaitResponseSchema,
  WriteResponseSchema,
} from '@soulbox/contract/process-v1';
import { expect, test } from 'vitest';
import { connectionFrom } from './config.ts';
import { openEnvd } from './envd.ts';
import { createProcesses } from './processes.ts';
import type { Processes } from './process-types.ts';
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
  Write: toBinary(WriteResponseSchema, create(WriteResponseSchema)),
  CloseInput: toBinary(CloseInputResponseSchema, create(CloseInputResponseSchema)),
};

function processesOf({ url }: Pick<TestServer, 'url'>): Processes {
  const access = { sandboxId: 'i1', sandboxDomain: undefined, envdAccessToken: 't', trafficAccessToken: undefined };
  return createProcesses(openEnvd(connectionFrom({ apiUrl: url, apiKey: '', retries: 1 }), access));
}

test('a wait, an acknowledgement and input survive a server that is away for a while', async () => {
  const back = { at: 0 };
  await using server = await startServer(({ line }) => {
    if (Date.now() < back.at) return { status: 503, body: 'restarting' };
    return protobuf(answers[line.split('/').at(-1) as keyof typeof answers]);
  });
  const process = await processesOf(server).get('p');
  const calls = [
    ...[async () => await process.wait(), async () => await process.acknowledge(5)],
    ...[async () => await process.write('input'), async () => await process.closeInput()],
  ];
  for (const call of calls) {
    back.at = Date.now() + 400;
    await call();
    expect(Date.now()).toBeGreaterThanOrEqual(back.at);
  }
  expect((await process.wait()).code).toBe(3);
});

test('numbers that the wire does not have are refused before a request', async () => {
  await using server = await startServer(() => protobuf(answers.Get));
  const processes = processesOf(server);
  const process = await processes.get('p');
  const calls = [
    ...[{ timeoutMs: Infinity }, { timeoutMs: -1 }, { keepSeconds: 0.5 }, { log: { maxBytes: NaN } }].map(
      (options) => async () => await processes.start('true', [], options),
    ),
    async () => await process.attach({ lastBytes: NaN }).next(),
    async () => await process.attach({ lastBytes: -1 }).next(),
    async () => await process.attach(0.5).next(),
    async () => await process.acknowledge(0.5),
  ];
  for (const call of calls)
    await expect(call()).rejects.toMatchObject({
      ...{ name: 'SoulBoxError', reason: expect.stringMatching(/^(config_invalid|position_out_of_range)$/) as string },
    });
  expect(server.seen.length).toBe(1);
});
