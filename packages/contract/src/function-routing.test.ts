import { Code, ConnectError, createRouterTransport } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { FunctionRoutingService } from '@soulbox/contract/control';
import { expect, test } from 'vitest';
import { addFunctionRoutes, createFunctionRouter } from './function-routing.ts';
import type { FunctionRouter } from './function-service.ts';

const throughWire = (open: FunctionRouter['open']): FunctionRouter =>
  createFunctionRouter(createRouterTransport((router) => addFunctionRoutes(router, { open }, silentLogger)));

test('the sandbox of a function is found by its name', async () => {
  const functions = throughWire(
    async (name) => await Promise.resolve({ sandboxId: `i${name}`, port: 8787, leaseMs: 100 }),
  );
  expect(await functions.open('hello')).toEqual({ sandboxId: 'ihello', port: 8787, leaseMs: 100 });
});

test('a failure to open a function keeps its reason and its message', async () => {
  const functions = throughWire(async () => {
    await Promise.reject(new SoulBoxError('function_broken', 'SyntaxError: Unexpected token'));
    throw new Error('never');
  });
  await expect(functions.open('hello')).rejects.toMatchObject({
    reason: 'function_broken',
    message: 'SyntaxError: Unexpected token',
  });
});

test('an unexpected error reveals no internals', async () => {
  const functions = throughWire(() => Promise.reject(new Error('/var/lib/secret')));
  const error = await functions.open('hello').catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason: 'internal' });
  expect(String(error)).not.toContain('/var/lib');
});

test('a control plane that is away is reported as unavailable', async () => {
  const away = createRouterTransport((router) =>
    router.service(FunctionRoutingService, {
      openFunction: () => Promise.reject(new ConnectError('', Code.Unavailable)),
    }),
  );
  await expect(createFunctionRouter(away).open('hello')).rejects.toMatchObject({ reason: 'control_unavailable' });
});
