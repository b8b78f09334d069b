import { describe, expect, test } from 'vitest';
import { draftOf, positionOf } from '../testing/test-log.ts';
import { leafOf, recordOfLeaf } from '../record.ts';
import type { AuditRecord } from '../record.ts';
import { exportFormats, formatRecord } from './formats.ts';

const context = { version: '0.1.0', origin: 'soulbox.example/audit/team' };
const { request, source, result, ...bare } = draftOf();

/** One of each kind that a format treats differently. */
const records: readonly AuditRecord[] = [
  draftOf({ stage: 'admitted', result: undefined }),
  draftOf({ stage: 'outcome' }),
  draftOf({
    action: 'sandbox.run',
    stage: 'outcome',
    request: { id: 'request00000002', method: 'POST', route: '/sandboxes/:sandboxID/run' },
    result: { status: 'aborted', code: 499 },
  }),
  draftOf({
    action: 'key.revoke',
    class: 'security',
    target: { kind: 'key', id: '0193a5b0-0000-7000-8000-00000000000a', team: 'b2f1c0de-0000-4000-8000-000000000001' },
    result: { status: 'failure', code: 404 },
    piiKeyId: '0123456789abcdef01234567',
    sealed: 'c2VhbGVkLWZpZWxkcy1vZi1hLXBlcnNvbi1hbmQtaXRzLXRhZw',
  }),
  {
    ...bare,
    action: 'privacy.erase',
    class: 'security' as const,
    actor: { kind: 'operator' as const, id: 'host' },
    target: { kind: 'subject', id: '', team: 't1' },
  },
].map((draft, seq) => recordOfLeaf(leafOf(draft, positionOf(seq))));

describe.each(exportFormats)('%s', (format) => {
  const lines = records.map((record) => formatRecord(record, format, context));

  test('has the golden form', async () => {
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(`golden/${format}.txt`);
  });

  test('has one line for each record', () => {
    expect(lines.join('')).not.toMatch(/[\r\n]/);
  });
});

test('characters that separate fields of CEF are escaped', () => {
  const [first] = records;
  const evil = {
    ...(first as AuditRecord),
    action: 'a|b\\c',
    target: { kind: 'x', id: 'k=v\nact=other', team: 't|1' },
  };
  const line = formatRecord(evil, 'cef', context);
  expect(line).toContain('|a\\|b\\\\c|');
  expect(line).toContain('duid=k\\=v\\nact\\=other');
});
