import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { Filesystem } from '@soulbox/contract/filesystem';
import { Process } from '@soulbox/contract/process';
import { describe, expect, test } from 'vitest';
import { routes } from '../harness/http.ts';
import { sharedSandbox } from '../harness/sandbox.ts';
import { apiUrl } from '../harness/server.ts';

const sandbox = sharedSandbox();
const makers = { Connect: createConnectTransport, gRPC: createGrpcTransport, 'gRPC-Web': createGrpcWebTransport };

// gRPC needs the trailers of HTTP/2.
const cases = (['Connect', 'gRPC', 'gRPC-Web'] as const).flatMap((protocol) =>
  (['1.1', '2'] as const)
    .filter((version) => protocol !== 'gRPC' || version === '2')
    .flatMap((version) => [true, false].map((useBinaryFormat) => ({ protocol, version, useBinaryFormat }))),
);

describe.each(cases)(
  '$protocol over HTTP/$version, binary: $useBinaryFormat',
  ({ protocol, version, useBinaryFormat }) => {
    function transport(): Transport {
      const token = (sandbox() as unknown as { envdAccessToken: string }).envdAccessToken;
      const headers = { ...routes.headers(sandbox().sandboxId, 49983), 'x-access-token': token };
      const options = { baseUrl: apiUrl, useBinaryFormat };
      const make = (httpVersion: '1.1' | '2'): Transport =>
        protocol === 'gRPC'
          ? createGrpcTransport({ ...options, interceptors: [addHeaders(headers)] })
          : makers[protocol]({ ...options, httpVersion, interceptors: [addHeaders(headers)] });
      return make(version);
    }

    test('answers calls and streams', async () => {
      const { entry } = await createClient(Filesystem, transport()).stat({ path: '/etc/passwd' });
      expect([entry?.name, entry?.owner]).toEqual(['passwd', 'root']);
      const output: Buffer[] = [];
      let exitCode: number | undefined;
      const processes = createClient(Process, transport());
      for await (const { event } of processes.start({
        process: { cmd: '/bin/sh', args: ['-c', 'echo hello; exit 3'] },
      })) {
        if (event?.event.case === 'data') output.push(Buffer.from(event.event.value.output.value ?? []));
        if (event?.event.case === 'end') ({ exitCode } = event.event.value);
      }
      expect([Buffer.concat(output).toString(), exitCode]).toEqual(['hello\n', 3]);
    });

    test('carries errors with their codes', async () => {
      const call = createClient(Filesystem, transport()).stat({ path: '/no/such' });
      const error = ConnectError.from(await call.catch((thrown: unknown) => thrown));
      expect(error.code).toBe(Code.NotFound);
    });
  },
);

type Interceptor = NonNullable<Parameters<typeof createConnectTransport>[0]['interceptors']>[number];

function addHeaders(headers: Readonly<Record<string, string>>): Interceptor {
  return (next) => async (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return await next(request);
  };
}
