import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { AttachRequestSchema } from '@soulbox/contract/process-v1';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClients } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

/** The long form: `SOULBOX_TEST_READERS=999 SOULBOX_TEST_MIB=10240 npx vitest run --project unit FILE`. */
const readers = Number(process.env['SOULBOX_TEST_READERS'] ?? 100);
const outputMib = Number(process.env['SOULBOX_TEST_MIB'] ?? 24);
const mib = 2 ** 20;
/** For all buffers that stream through, however many readers there are. */
const commonMib = 90;
/** For a reader that has stopped: its call, its connection, messages that were written to it. */
const readerMib = 0.3;

let envd: TestEnvd;
beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
});
afterAll(async () => await envd[Symbol.asyncDispose]());

const memoryMib = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${envd.pid}/status`, 'utf8'))?.[1]) / 1024;

/** Attaches and reads the beginning of the response, then nothing more. */
async function attachAndStall(processId: string): Promise<Socket> {
  const message = toBinary(AttachRequestSchema, create(AttachRequestSchema, { processId }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const socket = connect(envd.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const path = '/soulbox.process.v1.ProcessService/Attach';
  const fields = `host: x\r\ncontent-type: application/connect+proto\r\ncontent-length: ${head.length + message.length}`;
  socket.write(`POST ${path} HTTP/1.1\r\n${fields}\r\n\r\n`);
  socket.write(Buffer.concat([head, message]));
  const [first] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  expect(first.toString('latin1')).toContain('HTTP/1.1 200');
  return socket;
}

test(
  `${readers} readers that stop reading cost little memory, and slow nobody down`,
  async () => {
    const { streams } = createClients(envd.baseUrl, { protocol: 'grpc', httpVersion: '2', useBinaryFormat: true });
    const before = memoryMib();
    const command = { program: '/bin/sh', args: ['-c', `read x; exec head -c ${outputMib}M /dev/zero`] };
    const { process: started } = await streams.start({ command, hasInput: true });
    const processId = started?.id ?? '';
    const sockets: Socket[] = [];
    for (let count = 0; count < readers; count += 50) {
      const batch = Array.from({ length: Math.min(50, readers - count) }, () => attachAndStall(processId));
      sockets.push(...(await Promise.all(batch)));
    }
    await streams.write({ processId, input: { data: Buffer.from('\n') } });
    let position = 0n;
    let most = 0;
    let checkedAt = 0n;
    for await (const { event } of streams.attach({ processId })) {
      const inner = event?.event;
      if (inner?.case === 'output') {
        expect(inner.value.position).toBe(position);
        position += BigInt(inner.value.data.length);
      }
      if (inner?.case === 'gap') position = inner.value.to;
      if (position >= checkedAt + BigInt(mib)) {
        checkedAt = position;
        most = Math.max(most, memoryMib());
      }
    }
    expect(position).toBe(BigInt(outputMib * mib));
    const used = Math.round(most - before);
    if (readers > 100) process.stdout.write(`${readers} stalled readers, ${outputMib} MiB: envd grew by ${used} MiB\n`);
    expect(used).toBeLessThan(commonMib + readers * readerMib);

    // Those that leave give back their places.
    for (const socket of sockets) socket.destroy();
    for await (const { event } of streams.attach({ processId })) if (event?.event.case === 'ended') position = 0n;
    expect(position).toBe(0n);
  },
  readers * 200 + outputMib * 1000,
);
