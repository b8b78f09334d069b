import { createClient, createRouterTransport } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { silentLogger } from '@soulbox/base/logger';
import { EnvdCredential, EnvdPart, SandboxUseService } from '@soulbox/contract/control-sandbox-uses';
import { addSandboxUseReports, createSandboxUseReporter } from './sandbox-use-service.ts';
import type { SandboxUse } from './sandbox-use-service.ts';

const id = 'i0000000000000000001';

function serve() {
  const reported: SandboxUse[] = [];
  const transport = createRouterTransport((router) =>
    addSandboxUseReports(
      router,
      {
        report: (uses) => {
          reported.push(...uses);
          return Promise.resolve();
        },
      },
      silentLogger,
    ),
  );
  return { reported, transport };
}

it('passes on each kind of use', async () => {
  const { reported, transport } = serve();
  const uses = (['process', 'files', 'other'] as const).flatMap((part) =>
    (['none', 'token', 'signature'] as const).map((credential) => ({ sandboxId: id, part, credential, count: 3 })),
  );
  await createSandboxUseReporter(transport).report(uses);
  expect(reported).toEqual(uses);
});

it('drops entries of another form, and refuses a report that is too long', async () => {
  const { reported, transport } = serve();
  const client = createClient(SandboxUseService, transport);
  const good = { sandboxId: id, part: EnvdPart.PROCESS, credential: EnvdCredential.NONE, count: 1 };
  const bad = [
    ...[{ sandboxId: '../x' }, { sandboxId: '' }, { count: 0 }],
    ...[{ part: EnvdPart.UNSPECIFIED }, { credential: EnvdCredential.UNSPECIFIED }],
  ];
  await client.reportSandboxUses({ uses: bad.map((over) => ({ ...good, ...over })) });
  await client.reportSandboxUses({ uses: [{ ...good, count: 4_000_000_000 }] });
  expect(reported).toEqual([]);
  await expect(client.reportSandboxUses({ uses: Array.from({ length: 1001 }, () => good) })).rejects.toThrow(
    /at most 1000/,
  );
  expect(reported).toEqual([]);
});

it('says that the control plane is away', async () => {
  const transport = createRouterTransport(() => undefined);
  await expect(createSandboxUseReporter(transport).report([])).rejects.toThrow();
});
