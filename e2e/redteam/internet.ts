import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { metadataAddress6, publicAddress } from './addresses.ts';

/** Addresses of the internet's stand-in. A policy names the hosts of the first two only. */
export const lab = {
  nameServer: '45.67.89.53',
  allowed: '45.67.89.40',
  ruled: '45.67.89.42',
  forbidden: '45.67.89.41',
  /** Behind it, a SOCKS5 proxy listens on port 1080. */
  proxy: '45.67.89.43',
  private: '10.77.0.9',
} as const;

export const zoneName = 'redteam.test';
export const nameOf = (label: string): string => `${label}.${zoneName}`;

/** Names whose addresses no sandbox may reach. The policy allows the names. */
export const badNames = ['metadata', 'private', 'host', 'loopback', 'any', 'alias', 'chain', 'mapped', 'listener'];

/** What the server under attack must be started with, and the argument of `rogue-internet.mjs`. */
export interface Internet extends AsyncDisposable {
  readonly environment: Readonly<Record<string, string>>;
  readonly standIn: string;
  /** The value of the attacker's secret, which may never be seen inside. */
  readonly canary: string;
}

/** Makes a CA for the stand-in, and another one that nobody trusts. `instance`: of the server under attack. */
export async function prepareInternet(instance: number): Promise<Internet> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-redteam-ca-'));
  const trusted = await issue(folder, 'trusted');
  const untrusted = await issue(folder, 'untrusted');
  const zone: Record<string, string | readonly string[] | readonly (readonly string[])[]> = {
    ...{ allowed: [lab.allowed], forbidden: [lab.forbidden], ruled: [lab.ruled], plain: [lab.ruled] },
    ...{
      capture: [lab.ruled],
      untrusted: [lab.ruled],
      identity: [lab.ruled],
      foreign: [lab.ruled],
      '*.wild': [lab.allowed],
    },
    ...{ metadata: ['169.254.169.254'], private: [lab.private], host: ['198.18.0.1'], loopback: ['127.0.0.1'] },
    ...{
      any: ['0.0.0.0'],
      alias: nameOf('metadata'),
      chain: nameOf('alias'),
      mapped: ['::ffff:a9fe:a9fe', metadataAddress6],
    },
    ...{ listener: [`10.${200 + instance}.255.254`], both: ['169.254.169.254', lab.allowed, metadataAddress6] },
    rebinding: [[lab.allowed], ['169.254.169.254'], [lab.allowed, lab.private]],
  };
  const named = Object.fromEntries(Object.entries(zone).map(([label, value]) => [nameOf(label), value]));
  return {
    environment: { SOULBOX_NAME_SERVERS: lab.nameServer, SOULBOX_EGRESS_CA_FILE: join(folder, 'trusted-ca.pem') },
    standIn: JSON.stringify({ dns: lab.nameServer, zone: named, trusted, untrusted }),
    canary: `canary-${randomBytes(12).toString('hex')}`,
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true });
    },
  };
}

/** A CA and a certificate for all names of the zone. */
async function issue(folder: string, name: string): Promise<{ key: string; certificate: string }> {
  const file = (ending: string): string => join(folder, `${name}-${ending}`);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...newKey, '-subj', `/CN=${name}`, '-keyout', file('ca.key'), '-out', file('ca.pem'));
  openssl('req', ...newKey, '-subj', '/CN=host', '-keyout', file('host.key'), '-out', file('host.csr'));
  writeFileSync(file('names'), `subjectAltName=DNS:*.${zoneName},DNS:*.wild.${zoneName}\n`);
  const signed = ['-req', '-days', '2', '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-extfile', file('names')];
  openssl('x509', ...signed, '-in', file('host.csr'), '-out', file('host.pem'));
  return { key: await readFile(file('host.key'), 'utf8'), certificate: await readFile(file('host.pem'), 'utf8') };
}

/** All addresses of the stand-in beside those of metadata services. The first one answers datagrams. */
export const labAddresses: readonly string[] = [publicAddress, ...Object.values(lab)];

const secretPlaceholder = 'Bearer ${e2b.secrets.redteam}';
const ruleOf = (headers: Record<string, string>, requests?: readonly object[]): object[] => [
  { transform: { headers }, ...(requests === undefined ? {} : { requests }) },
];

/** A closed policy with names, wildcards, ports and rules, as the API takes it. */
export function namedPolicy(): Record<string, unknown> {
  const own = ['allowed', 'ruled', 'plain', 'untrusted', 'identity', 'foreign', 'both', 'rebinding', ...badNames].map(
    nameOf,
  );
  const ports = [':8081', ':9443', ':5555'].map((port) => `${nameOf('allowed')}${port}`);
  const capture = [`${nameOf('capture')}:8443`, nameOf('capture')];
  return {
    allowOut: [...own, ...ports, ...capture, `*.wild.${zoneName}`],
    denyOut: ['0.0.0.0/0'],
    rules: {
      [nameOf('ruled')]: ruleOf({ authorization: secretPlaceholder }),
      [nameOf('capture')]: ruleOf({ authorization: secretPlaceholder }, [
        { methods: ['GET', 'POST'], paths: ['/first'] },
      ]),
      [nameOf('untrusted')]: ruleOf({ authorization: secretPlaceholder }),
      [nameOf('plain')]: ruleOf({ authorization: 'Bearer plain-value-that-is-no-secret' }),
      [nameOf('identity')]: ruleOf({ 'x-redteam-token': '${e2b.identity.tokens.own}' }),
      [nameOf('foreign')]: ruleOf({ authorization: 'Bearer ${e2b.secrets.theirs}' }),
    },
  };
}

/** What a create with `namedPolicy` needs beside it: the workload identity that a rule names. */
export const namedCreate = { iam: { tokens: { own: { audience: 'https://own.example', tokenType: 'JWT-SVID' } } } };
