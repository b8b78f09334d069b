import { fromBinary, toBinary, create } from '@bufbuild/protobuf';
import { Client, Metadata, credentials } from '@grpc/grpc-js';
import { InteractRequestSchema, InteractResponseSchema } from '@soulbox/contract/process-v1';
import type { InteractResponse } from '@soulbox/contract/process-v1';
import { expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

// gRPC's own client, which shares no code with ours, through the gateway.
test("a client of gRPC's own library starts a process, writes to it and reads its output", async () => {
  const sandbox = await createSandbox();
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  onTestFinished(() => client.close());
  const metadata = new Metadata();
  metadata.set('e2b-sandbox-id', sandbox.sandboxId);
  metadata.set('e2b-sandbox-port', '49983');
  metadata.set('x-access-token', (sandbox as unknown as { envdAccessToken: string }).envdAccessToken);
  const stream = client.makeBidiStreamRequest(
    '/soulbox.process.v1.ProcessService/Interact',
    (message: ReturnType<typeof request>) => Buffer.from(toBinary(InteractRequestSchema, message)),
    (bytes) => fromBinary(InteractResponseSchema, bytes),
    metadata,
  );
  const start = { command: { program: 'cat' }, hasInput: true };
  stream.write(request({ case: 'start', value: { start } }));
  stream.write(request({ case: 'input', value: { data: Buffer.from('hello') } }));
  stream.write(request({ case: 'closeInput', value: {} }));
  const cases: string[] = [];
  let output = '';
  for await (const { event } of stream as AsyncIterable<InteractResponse>) {
    const inner = event?.event;
    cases.push(inner?.case ?? '');
    if (inner?.case === 'output') output += Buffer.from(inner.value.data).toString();
    if (inner?.case === 'ended') expect(inner.value.exit).toMatchObject({ code: 0 });
  }
  expect([cases[0], cases.at(-1), output]).toEqual(['attached', 'ended', 'hello']);
});

type Init = NonNullable<Parameters<typeof create<typeof InteractRequestSchema>>[1]>;

function request(value: Init['request']) {
  return create(InteractRequestSchema, { request: value } as Init);
}
