import { beforeEach, describe, expect, it } from 'vitest';
import type { TenantRecord } from '../registry/table.ts';
import { createConsumption } from './consumption.ts';
import type { Consumption } from './consumption.ts';

let consumption: Consumption;
beforeEach(() => {
  consumption = createConsumption();
});

const recordOf = (generation: string): TenantRecord =>
  ({ sandboxId: 'i', generation, tenant: { teamId: 't', keyId: 'k' } }) as TenantRecord;
const begin = (generation: string, isNew = true): void => consumption.begin({ record: recordOf(generation) }, isNew);
const observe = (generation: string, cpuSeconds: number, sentBytes?: number): void =>
  consumption.observe(recordOf(generation), cpuSeconds, sentBytes);
const used = (): [number, number] | undefined => {
  const [first] = consumption.list();
  return first && [first.cpuUsedSeconds, first.networkSentBytes];
};

describe('what a sandbox has used', () => {
  it('is counted from its create on, without the boot, and with every byte', () => {
    begin('a');
    observe('a', 5);
    observe('a', 6, 100);
    observe('a', 6.5, 150);
    expect(used()).toEqual([1.5, 150]);
    expect(consumption.list()[0]).toMatchObject({ sandboxId: 'i', teamId: 't', keyId: 'k', hasEnded: false });
  });

  it('continues over a restore, whose counters start at 0', () => {
    begin('a');
    observe('a', 5, 0);
    observe('a', 7, 100);
    begin('b');
    observe('b', 3, 40);
    observe('b', 9, 50);
    expect(used()).toEqual([11, 150]);
  });

  it('continues over a thaw, whose counters go on', () => {
    begin('a');
    observe('a', 5, 0);
    observe('a', 7, 100);
    begin('a');
    observe('a', 8, 120);
    expect(used()).toEqual([3, 120]);
  });

  it('does not include what an earlier runner has seen', () => {
    begin('a', false);
    observe('a', 500, 5000);
    observe('a', 501, 5001);
    expect(used()).toEqual([1, 1]);
  });

  it('is not disturbed by a late sample of processes that were replaced, nor by counters that go back', () => {
    begin('a');
    observe('a', 5, 10);
    begin('b');
    observe('a', 90, 90);
    observe('b', 1, 1);
    observe('b', 0.5, 0);
    expect(used()).toEqual([1, 11]);
  });

  it('is kept after the end until it was recorded, with samples that come late', () => {
    begin('a');
    observe('a', 1, 0);
    consumption.forget(['i']);
    consumption.end('i');
    observe('a', 3, 9);
    expect(consumption.list()).toMatchObject([{ cpuUsedSeconds: 2, networkSentBytes: 9, hasEnded: true }]);
    consumption.forget(['i', 'unknown']);
    expect(consumption.list()).toEqual([]);
    observe('a', 4);
    consumption.end('i');
    expect(consumption.list()).toEqual([]);
  });

  it('has another epoch in another runner', () => {
    expect(consumption.epoch).not.toBe(createConsumption().epoch);
  });
});
