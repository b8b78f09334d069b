import { expect, test } from 'vitest';
import { loadBoxConfig } from './config.ts';

test('the errors of all parts are reported at once', () => {
  const load = () =>
    loadBoxConfig({
      SOULBOX_PROT: '3000',
      SOULBOX_LOG_LEVEL: 'loud',
      SOULBOX_API_KEY_RATE: '-1',
      SOULBOX_PORT: '70000',
      SOULBOX_POOL_SIZE: 'many',
      SOULBOX_NETWORK_CIDR: '10.1.2.0/24',
      SOULBOX_NAME_SERVERS: '127.0.0.1',
      SOULBOX_TLS_CERT: '/cert.pem',
    });
  for (const name of [
    'PROT',
    'LOG_LEVEL',
    'API_KEY_RATE',
    'PORT',
    'POOL_SIZE',
    'NETWORK_CIDR',
    'NAME_SERVERS',
    'TLS_CERT',
  ])
    expect(load, name).toThrow(new RegExp(`\n  SOULBOX_${name}[:,]`));
});

test.each([
  ['relative', /SOULBOX_DATA_DIR.*must be an absolute path/],
  ['/data\nfolder', /SOULBOX_DATA_DIR.*must not contain a line break/],
])('the data folder %j stops the start', (folder, fault) => {
  expect(() => loadBoxConfig({ SOULBOX_DATA_DIR: folder })).toThrow(fault);
});

test('valid settings of every part are accepted', () => {
  const config = loadBoxConfig({ SOULBOX_NETWORK_CIDR: '10.250.0.0/16', SOULBOX_PORT: '8080' }, { poolSize: 3 });
  expect([config.networkCidr, config.gateway.port, config.runner.poolSize]).toEqual(['10.250.0.0/16', 8080, 3]);
  expect(config.templatesDirectory).toBe('/var/lib/soulbox/templates');
});

test.each([
  [{ SOULBOX_MASTER_KEY: 'pkcs11' }, /pkcs11 needs SOULBOX_PKCS11_MODULE/],
  [{ SOULBOX_PKCS11_MODULE: '/x.so' }, /SOULBOX_PKCS11_PIN_FILE: only useful together/],
  [{ SOULBOX_MASTER_KEY_FILE: 'relative' }, /SOULBOX_MASTER_KEY_FILE.*must be an absolute path/],
  [{ SOULBOX_MASTER_KEY: 'vault' }, /SOULBOX_MASTER_KEY/],
])('settings of the master key that contradict each other stop the start: %j', (environment, fault) => {
  expect(() => loadBoxConfig(environment)).toThrow(fault);
});
