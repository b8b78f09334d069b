import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findUnknownKeys, flag, key, loadConfig, wholeNumber } from './config.ts';

const schema = {
  port: key('SOULBOX_PORT', wholeNumber(0, 65_535), 3000, 'Port.'),
  tls: key('SOULBOX_TLS', flag, true, 'TLS.'),
  name: key('SOULBOX_NAME', z.string().min(2), 'box', 'Name.'),
};

describe('configuration', () => {
  it('prefers flags to the environment, and the environment to the defaults', () => {
    expect(loadConfig(schema, {})).toEqual({ port: 3000, tls: true, name: 'box' });
    const environment = { SOULBOX_PORT: '8080', SOULBOX_TLS: 'false' };
    expect(loadConfig(schema, environment)).toEqual({ port: 8080, tls: false, name: 'box' });
    expect(loadConfig(schema, environment, { port: 1 })).toEqual({ port: 1, tls: false, name: 'box' });
  });

  it('treats an empty variable as unset', () => {
    expect(loadConfig(schema, { SOULBOX_PORT: '' }).port).toBe(3000);
  });

  it('reports all faults at once, each with the name of its variable', () => {
    const load = () => loadConfig(schema, { SOULBOX_PORT: '70000', SOULBOX_TLS: 'yes', SOULBOX_NAME: 'x' });
    expect(load).toThrow(/SOULBOX_PORT: .*\n.*SOULBOX_TLS: .*\n.*SOULBOX_NAME: /);
  });

  it.each(['1.5', '-1', 'abc', '1e9', 'NaN'])('rejects %s as a port', (text) => {
    expect(() => loadConfig(schema, { SOULBOX_PORT: text })).toThrow('SOULBOX_PORT');
  });

  it('finds misspelled variables and ignores those of other programs', () => {
    expect(findUnknownKeys([schema], { SOULBOX_PROT: '1', SOULBOX_PORT: '1', PATH: '/bin' })).toEqual(['SOULBOX_PROT']);
  });
});
