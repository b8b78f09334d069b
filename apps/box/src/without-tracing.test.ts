import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('without a collector, the processes of a server load nothing of OpenTelemetry', async () => {
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ resolve(name, context, next) { loaded.push(name); return next(name, context); } });
    const { startTracing } = await import('@soulbox/tracing');
    await import('@soulbox/box');
    const options = { service: 'x', logger: console };
    await startTracing({ url: '', samplePercent: 100 }, options);
    const without = loaded.filter((name) => name.includes('@opentelemetry')).length;
    await (await startTracing({ url: 'http://127.0.0.1:1', samplePercent: 100 }, options))[Symbol.asyncDispose]();
    const withIt = loaded.filter((name) => name.includes('@opentelemetry')).length;
    console.log(JSON.stringify({ all: loaded.length, without, with: withIt }));
    process.exit();`;
  const flags = ['--conditions=soulbox-source', '--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)(process.execPath, flags, { cwd: import.meta.dirname });
  const counts = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<'all' | 'without' | 'with', number>;
  expect(counts.all).toBeGreaterThan(100);
  expect(counts.without).toBe(0);
  expect(counts.with).toBeGreaterThan(3);
});
