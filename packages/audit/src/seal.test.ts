import { describe, expect, test } from 'vitest';
import { createSubjectKey, openFields, openSubjectKey, pseudonym, sealFields } from './seal.ts';
import { memorySealer } from './testing/memory-sealer.ts';
import { splitSource } from './source.ts';

const damaged = expect.objectContaining({ reason: 'state_damaged' }) as Error;

describe('personal fields', () => {
  const fields = { ip: '203.0.113.7', userAgent: 'e2b-js-sdk/2.51.0' };

  test('are opened with the stored key of their subject', async () => {
    const sealer = memorySealer();
    const { key, stored } = await createSubjectKey(sealer, 'team');
    const sealed = sealFields(fields, key, 'record-1');
    expect(openFields(sealed, await openSubjectKey(sealer, 'team', stored), 'record-1')).toEqual(fields);
    expect(stored.id).toBe(key.id);
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('203.0');
    expect(stored.sealed).not.toContain(key.key.export().toString('base64'));
  });

  test('are different each time, even if they are the same', async () => {
    const { key } = await createSubjectKey(memorySealer(), 'team');
    expect(new Set(Array.from({ length: 100 }, () => sealFields(fields, key, 'r'))).size).toBe(100);
  });

  test('cannot be moved to another record, changed, cut, or opened with the key of another subject', async () => {
    const [one, other] = [
      await createSubjectKey(memorySealer(), 'team'),
      await createSubjectKey(memorySealer(), 'team'),
    ];
    const sealed = sealFields(fields, one.key, 'record-1');
    expect(() => openFields(sealed, one.key, 'record-2')).toThrow(damaged);
    expect(() => openFields(sealed, other.key, 'record-1')).toThrow(damaged);
    const bytes = Buffer.from(sealed, 'base64url');
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => openFields(changed.toString('base64url'), one.key, 'record-1')).toThrow(damaged);
      expect(() => openFields(bytes.subarray(0, index).toString('base64url'), one.key, 'record-1')).toThrow(damaged);
    }
  });

  test('of a sealed key that was given to another subject or team are not opened', async () => {
    const sealer = memorySealer();
    const [{ stored }, other] = [await createSubjectKey(sealer, 'team'), await createSubjectKey(sealer, 'team')];
    await expect(openSubjectKey(sealer, 'team', { ...stored, id: other.stored.id })).rejects.toThrow();
    await expect(openSubjectKey(sealer, 'other', stored)).rejects.toThrow();
    await expect(openSubjectKey(memorySealer(), 'team', stored)).rejects.toThrow();
  });

  test('have pseudonyms that are equal only within one subject', async () => {
    const [one, other] = [
      (await createSubjectKey(memorySealer(), 'team')).key,
      (await createSubjectKey(memorySealer(), 'team')).key,
    ];
    expect(pseudonym('203.0.113.7', one)).toBe(pseudonym('203.0.113.7', one));
    expect(pseudonym('203.0.113.7', one)).not.toBe(pseudonym('203.0.113.7', other));
    expect(pseudonym('203.0.113.7', one)).not.toBe(pseudonym('203.0.113.8', one));
  });
});

describe('the source of a request', () => {
  test.each([
    ['203.0.113.77', '203.0.113.0/24'],
    ['::ffff:203.0.113.77', '203.0.113.0/24'],
    ['2001:db8:abcd:12::1', '2001:db8:abcd::/48'],
    ['2001:0db8:0000:0012::1', '2001:db8:0::/48'],
    ['2001:db8::1', '2001:db8:0::/48'],
    ['::1', '0:0:0::/48'],
    ['fe80::1%eth0', 'fe80:0:0::/48'],
    ['64:ff9b::203.0.113.7', '64:ff9b:0::/48'],
  ])('%s is in clear only as %s', (address, network) => {
    expect(splitSource(address, '').clear).toEqual({ network, agent: undefined });
  });

  test.each(['', 'unknown', '203.0.113', 'evil\nline', '999.1.1.1'])('%j is no address and not stored', (address) => {
    expect(splitSource(address, '')).toEqual({
      clear: { network: undefined, agent: undefined },
      personal: { ip: undefined, userAgent: undefined },
    });
  });

  test('has the name of the client in clear, and its whole user agent in the personal part', () => {
    const { clear, personal } = splitSource('', 'e2b-python-sdk/2.1 (jane@example.com)');
    expect([clear.agent, personal.userAgent]).toEqual(['e2b-python-sdk', 'e2b-python-sdk/2.1 (jane@example.com)']);
    expect(splitSource('', 'jane@example.com').clear.agent).toBeUndefined();
    expect(splitSource('', 'x'.repeat(10_000)).personal.userAgent).toHaveLength(200);
  });
});
