import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { gatewayConfigSchema } from './config.ts';
import { findExposures, judgePlainPort } from './exposure.ts';

const day = 86_400_000;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-exposure-'));
});
afterEach(async () => await rm(directory, { recursive: true }));

test('plain HTTP that other machines can reach is reported, and plain HTTP on loopback is not', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) expect(judgePlainPort(host, 3000)).toBeUndefined();
  for (const host of ['0.0.0.0', '::', '192.0.2.7', 'box.example', '::10'])
    expect(judgePlainPort(host, 3000)).toContain(`plain HTTP on ${host}:3000`);
});

test("an operator's certificate is reported from two weeks before its end", async () => {
  const tlsCertFile = join(directory, 'cert.pem');
  const tlsKeyFile = join(directory, 'key.pem');
  const subject = ['-subj', '/CN=box.example', '-days', '30', '-out', tlsCertFile, '-keyout', tlsKeyFile];
  const algorithm = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  await run('openssl', ['req', '-x509', ...algorithm, ...subject]);
  const config = loadConfig(gatewayConfigSchema, {}, { tlsCertFile, tlsKeyFile });
  const at = async (days: number): Promise<string[]> => await findExposures(config, Date.now() + days * day);
  expect(await at(0)).toEqual([]);
  expect(await at(15)).toEqual([]);
  expect(await at(17)).toEqual([expect.stringMatching(/certificate expires on \d{4}-\d\d-\d\d\./)]);
  expect(await at(31)).toEqual([expect.stringMatching(/certificate expired on \d{4}-\d\d-\d\d: clients refuse it/)]);
  expect(await findExposures({ ...config, tls: false }, Date.now() + 31 * day)).toEqual([]);
  expect(await findExposures({ ...config, tlsCertFile: '' }, Date.now() + 31 * day)).toEqual([]);
});
