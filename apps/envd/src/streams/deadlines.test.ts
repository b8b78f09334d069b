import { connect as connectHttp2 } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AttachRequestSchema, AttachResponseSchema } from '@soulbox/contract/process-v1';
import { beforeAll, expect, test } from 'vitest';
import { useStreams } from '../testing/use-streams.ts';

// Raw requests, because our clients end a call themselves at its deadline.
const { envd, clients, start } = useStreams();
let processId: string;
beforeAll(async () => {
  processId = await start('sleep 60');
});

const attachPath = '/soulbox.process.v1.ProcessService/Attach';
const isRunning = async (): Promise<boolean> =>
  (await clients().streams.get({ processId })).process?.exit === undefined;

function frameOf(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
const request = (): Buffer => frameOf(toBinary(AttachRequestSchema, create(AttachRequestSchema, { processId })));

test('envd ends a stream of Connect at the deadline of the call, and the process goes on', async () => {
  const startedAt = performance.now();
  const response = await fetch(envd().baseUrl + attachPath, {
    method: 'POST',
    headers: { 'content-type': 'application/connect+proto', 'connect-timeout-ms': '300' },
    body: new Uint8Array(request()),
  });
  const body = Buffer.from(await response.arrayBuffer());
  expect(performance.now() - startedAt).toBeLessThan(5000);
  const length = body.readUInt32BE(1);
  const first = fromBinary(AttachResponseSchema, body.subarray(5, 5 + length));
  expect(first.event?.event.case).toBe('attached');
  // The end of a stream of Connect is a frame with flag 2 and JSON.
  const end = body.subarray(5 + length);
  expect(end[0]).toBe(2);
  expect(JSON.parse(end.toString('utf8', 5))).toMatchObject({ error: { code: 'deadline_exceeded' } });
  expect(await isRunning()).toBe(true);
});

test('envd ends a stream of gRPC at the deadline of the call, and the process goes on', async () => {
  const session = connectHttp2(envd().baseUrl);
  const stream = session.request({
    ...{ ':method': 'POST', ':path': attachPath, 'content-type': 'application/grpc', te: 'trailers' },
    'grpc-timeout': '300m',
  });
  const trailers = new Promise<Record<string, unknown>>((resolve, reject) => {
    stream.once('trailers', resolve);
    stream.once('error', reject);
  });
  stream.resume();
  stream.end(request());
  // 4: DEADLINE_EXCEEDED
  expect(await trailers).toMatchObject({ 'grpc-status': '4' });
  session.close();
  expect(await isRunning()).toBe(true);
});

test.each([
  ['-1', 400, 'invalid_argument'],
  ['99999999999999999999', 400, 'invalid_argument'],
  ['18446744073709551615', 400, 'out_of_range'],
  ['1', 400, 'out_of_range'],
])('a position of %s is refused', async (position, status, code) => {
  const response = await fetch(envd().baseUrl + attachPath.replace('Attach', 'Acknowledge'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'connect-protocol-version': '1' },
    body: JSON.stringify({ processId, position }),
  });
  expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([status, code]);
  expect(await isRunning()).toBe(true);
});
