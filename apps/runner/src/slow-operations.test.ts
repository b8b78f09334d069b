import type { Logger } from '@soulbox/base';
import { beforeEach, expect, test } from 'vitest';
import { warnOfSlowOperations } from './slow-operations.ts';

let lines: unknown[];
beforeEach(() => {
  lines = [];
});

function recorder(bound: object = {}): Logger {
  const take = (level: string) => (fields: object, message: string) =>
    lines.push([level, { ...bound, ...fields }, message]);
  return {
    ...{ debug: take('debug'), info: take('info'), warn: take('warn'), error: take('error') },
    child: (fields) => recorder({ ...bound, ...fields }),
  };
}

const phases = { restore: 900 };

test('an operation at the threshold is a warning, with all fields of its line', () => {
  const logger = warnOfSlowOperations(recorder(), 1000).child({ part: 'runner' });
  logger.info({ sandboxId: 'i1', durationMs: 1000, phases }, 'sandbox resumed');
  logger.info({ sandboxId: 'i1', durationMs: 999, phases }, 'sandbox resumed');
  expect(lines).toEqual([
    ['warn', { part: 'runner', sandboxId: 'i1', durationMs: 1000, phases, slow: true }, 'sandbox resumed'],
    ['info', { part: 'runner', sandboxId: 'i1', durationMs: 999, phases }, 'sandbox resumed'],
  ]);
});

test('builds, and lines that are not about operations, stay as they are', () => {
  const logger = warnOfSlowOperations(recorder(), 1);
  logger.info({ buildId: 'b', durationMs: 90_000, phases }, 'template built');
  logger.info({ durationMs: 90_000 }, 'request');
  logger.info({}, 'sandboxes recovered');
  logger.error({ durationMs: 5, phases }, 'failed');
  expect(lines.map((line) => (line as [string])[0])).toEqual(['info', 'info', 'info', 'error']);
});

test('0 switches it off', () => {
  const logger = recorder();
  expect(warnOfSlowOperations(logger, 0)).toBe(logger);
});
