import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { SshAttempt, SshAuthority, SshGrant, SshUse } from '@soulbox/contract/ssh-service';
import ssh2 from 'ssh2';
import type { Client as SshClient, ConnectConfig } from 'ssh2';
import { makeHostKey } from '../host-key.ts';
import { startSsh } from '../start.ts';
import type { Ssh } from '../start.ts';

/** An SSH server whose authority is scripted, before a gateway that has no sandbox. */
export interface TestSsh extends AsyncDisposable {
  readonly ssh: Ssh;
  readonly attempts: SshAttempt[];
  readonly uses: SshUse[];
  /** Grants that have ended. */
  readonly ended: SshGrant[];
  /** Decides. Default: admits the user `iknown`. */
  decide: (attempt: SshAttempt) => boolean | Promise<boolean>;
  /** Serves every port of the sandbox. Default: the gateway has no sandbox. */
  serve: ((connection: Duplex) => void) | undefined;
  /** Of the next sandboxes that are entered. */
  teamId: string;
  connect(options?: ConnectConfig): Promise<SshClient>;
}

export const clientKey = makeHostKey().privateKey;

export async function startTestSsh(options: { maxConnections?: number } = {}): Promise<TestSsh> {
  const folder = mkdtempSync(join(tmpdir(), 'soulbox-ssh-'));
  const gatewaySocket = join(folder, 'gateway.sock');
  const test: Pick<TestSsh, 'decide' | 'serve' | 'teamId'> = {
    decide: ({ user }) => user === 'iknown',
    serve: undefined,
    teamId: 't1',
  };
  const gateway = createServer((_request, response) => {
    response
      .writeHead(502, { 'content-type': 'application/json' })
      .end(JSON.stringify({ message: 'No such sandbox.' }));
  });
  gateway.on('upgrade', (_request, connection: Duplex) => {
    connection.on('error', () => undefined);
    if (test.serve === undefined) {
      const body = JSON.stringify({ message: 'No such sandbox.' });
      connection.end(`HTTP/1.1 502 Bad Gateway\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      return;
    }
    connection.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: soulbox-tcp\r\n\r\n');
    test.serve(connection);
  });
  gateway.listen(gatewaySocket);
  await once(gateway, 'listening');
  const attempts: SshAttempt[] = [];
  const uses: SshUse[] = [];
  const ended: SshGrant[] = [];
  const authority: SshAuthority = {
    authorize: async (attempt) => {
      attempts.push(attempt);
      if (!(await test.decide(attempt))) throw new SoulBoxError('unauthorized', 'No.');
      return { sandboxId: attempt.user, keyId: 'k1', accessToken: 't', fault: '', teamId: test.teamId };
    },
    findEnded: () => Promise.resolve(ended),
    report: (reported) => Promise.resolve(void uses.push(...reported)),
  };
  const ssh = await startSsh({
    ...{
      place: { host: '127.0.0.1', port: 0 },
      hostKey: makeHostKey().privateKey,
      programs: { sftpServer: '', remoteListener: '' },
    },
    ...{ maxConnections: options.maxConnections ?? 10, authority, gatewaySocket, logger: silentLogger },
  });
  const clients: SshClient[] = [];
  return Object.assign(test, {
    ...{ ssh, attempts, uses, ended },
    async connect(more: ConnectConfig = {}) {
      const client = new ssh2.Client();
      clients.push(client);
      const ready = new Promise<SshClient>((resolve, reject) => {
        client.on('ready', () => resolve(client)).on('error', reject);
        client.on('close', () => reject(new Error('closed')));
      });
      client.connect({ host: '127.0.0.1', port: ssh.port, username: 'iknown', privateKey: clientKey, ...more });
      return await ready;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await ssh[Symbol.asyncDispose]();
      gateway.close();
      gateway.closeAllConnections();
      await removeTree(folder);
    },
  });
}

/** A key of another kind, in PEM. */
export function rsaKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
}
