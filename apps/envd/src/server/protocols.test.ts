import { Code, ConnectError } from '@connectrpc/connect';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { StreamInputRequestSchema } from '@soulbox/contract/process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProtocolOptions } from '../testing/clients.ts';
import { collect, createClients, runShell } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;

beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
});

afterAll(async () => {
  await envd[Symbol.asyncDispose]();
});

const matrix: ProtocolOptions[] = (['connect', 'grpc', 'grpc-web'] as const).flatMap((protocol) =>
  (['1.1', '2'] as const).flatMap((httpVersion) => [
    { protocol, httpVersion, useBinaryFormat: true },
    { protocol, httpVersion, useBinaryFormat: false },
  ]),
);

// gRPC itself needs HTTP/2.
describe.each(matrix.filter((row) => row.protocol !== 'grpc' || row.httpVersion === '2'))(
  '$protocol over HTTP/$httpVersion, binary $useBinaryFormat',
  (options) => {
    test('a unary call is answered', async () => {
      const { filesystem } = createClients(envd.baseUrl, options);
      expect((await filesystem.stat({ path: '/etc/passwd' })).entry?.name).toBe('passwd');
    });

    test('an error has its code and text', async () => {
      const { filesystem } = createClients(envd.baseUrl, options);
      await expect(filesystem.stat({ path: '/nope' })).rejects.toMatchObject({
        code: Code.NotFound,
        rawMessage: "path '/nope' does not exist",
      });
    });

    test('a server stream ends with the process', async () => {
      const { process } = createClients(envd.baseUrl, options);
      const outcome = await runShell(process, 'echo out; echo err >&2; exit 3');
      expect(outcome).toMatchObject({ stdout: 'out\n', stderr: 'err\n', end: { exitCode: 3, exited: true } });
    });

    test('a client stream feeds a process', async () => {
      const { process } = createClients(envd.baseUrl, options);
      const tag = JSON.stringify(options);
      const outcome = collect(process.start({ process: { cmd: 'cat' }, tag }));
      const selector = { selector: { case: 'tag' as const, value: tag } };
      await expect.poll(async () => (await process.list({})).processes.some((one) => one.tag === tag)).toBe(true);
      await process.streamInput(inputStream(selector));
      await process.closeStdin({ process: selector });
      expect((await outcome).stdout).toBe('one two ');
    });

    test('a deadline ends the stream and the process', async () => {
      const { process } = createClients(envd.baseUrl, options);
      const error = await runShell(process, 'sleep 60', { timeoutMs: 300 }).catch((thrown: unknown) => thrown);
      expect(ConnectError.from(error).code).toBe(Code.DeadlineExceeded);
      await expect.poll(async () => (await process.list({})).processes).toEqual([]);
    });
  },
);

async function* inputStream(selector: {
  selector: { case: 'tag'; value: string };
}): AsyncGenerator<MessageInitShape<typeof StreamInputRequestSchema>> {
  await Promise.resolve();
  yield { event: { case: 'start', value: { process: selector } } };
  yield { event: { case: 'keepalive', value: {} } };
  for (const word of ['one ', 'two ']) {
    const input = { input: { case: 'stdin' as const, value: Buffer.from(word) } };
    yield { event: { case: 'data', value: { input } } };
  }
}
