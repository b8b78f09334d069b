import { expect, test } from 'vitest';
import { createDeviceRequests } from './device-requests.ts';

const ada = { userId: 'ada', sessionId: 's1' };
const now = { value: 0 };
const devices = () => createDeviceRequests({ now: () => now.value });

test('a program waits, polls at its pace, and gets the decision once', () => {
  const table = devices();
  const { deviceCode, request } = table.start('cli', '203.0.113.1');
  expect(request.userCode).toMatch(/^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/);
  expect([table.poll(deviceCode), table.poll(deviceCode)]).toEqual(['pending', 'too_fast']);
  now.value += 5000;
  expect(table.poll(deviceCode)).toBe('pending');
  expect(table.find(request.userCode.toLowerCase().replace('-', ' '))).toEqual(request);
  expect(table.decide(request.userCode, ada, true)).toBe(true);
  expect(table.decide(request.userCode, { ...ada, userId: 'mallory' }, true)).toBe(false);
  expect(table.poll(deviceCode)).toEqual({ ...ada, client: 'cli' });
  expect(table.poll(deviceCode)).toBe('expired');
});

test('a refusal, a wrong code and a late decision give nothing', () => {
  const table = devices();
  const { deviceCode, request } = table.start('cli', '203.0.113.1');
  expect([table.find(''), table.find('-'), table.find('BBBB-BBBB')]).toEqual([undefined, undefined, undefined]);
  expect(table.poll(request.userCode)).toBe('expired');
  table.decide(request.userCode, ada, false);
  expect(table.poll(deviceCode)).toBe('denied');
  const late = table.start('cli', '203.0.113.1');
  now.value += 600_000;
  expect(table.decide(late.request.userCode, ada, true)).toBe(false);
  expect(table.poll(late.deviceCode)).toBe('expired');
});

test('programs that wait are limited, for each address and together, and none is dropped', () => {
  const table = devices();
  const first = table.start('cli', '10.0.0.1');
  for (let n = 1; n < 10; n += 1) table.start('cli', '10.0.0.1');
  expect(() => table.start('cli', '10.0.0.1')).toThrow('Too many programs');
  for (let n = 0; n < 990; n += 1) table.start('cli', `10.1.${n >> 8}.${n & 255}`);
  expect(() => table.start('cli', '10.9.9.9')).toThrow('Too many programs');
  expect(table.find(first.request.userCode)).toBeDefined();
  now.value += 600_000;
  expect(table.start('cli', '10.9.9.9').request.client).toBe('cli');
});
