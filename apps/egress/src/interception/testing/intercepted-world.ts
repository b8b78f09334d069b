import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { createSecureServer } from 'node:http2';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Secret } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { createAuthority, issueCertificate, openIssuer } from '@soulbox/certificates';
import type { CertificateWithKey, Lifetime } from '@soulbox/certificates';
import type { PlaceholderRequest } from '@soulbox/contract/egress-record-service';
import { parseEgressPolicy } from '@soulbox/network/policy';
import type { InterceptedRequest } from '../../connections/interceptor.ts';
import { EgressRefusal } from '../../judge/refusal.ts';
import type { HostRule, PolicedSandbox } from '../../policies/policed-sandbox.ts';
import { createInterceptor } from '../interceptor.ts';

export const hostName = 'api.example.com';

const lifetime: Lifetime = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };

/** An internet of one host, and a sandbox whose connections to it are intercepted. */
export interface InterceptedWorld extends AsyncDisposable {
  /** The port that the sandbox connects to. */
  readonly port: number;
  /** The CA that the sandbox trusts. */
  readonly caPem: string;
  readonly recorded: InterceptedRequest[];
  readonly resolved: PlaceholderRequest[];
  /** Values of placeholders. */
  readonly values: Map<string, string>;
  /** Replaces the rule. */
  setRule(rule: Partial<HostRule>): void;
  /** The host refuses connections from now on. */
  refuse(): void;
  /** The number of connections that the host has got. */
  hostConnections(): number;
}

export interface WorldOptions {
  readonly scheme?: 'http' | 'https';
  /** What the host speaks. Default: `http/1.1`. */
  readonly protocol?: 'h2' | 'http/1.1';
  readonly answer: RequestListener;
  /** Called with the server of the host, for upgrades. */
  readonly onServer?: (server: Server) => void;
  /** What the certificate of the host names. */
  readonly certifiedName?: string;
  readonly isTrusted?: boolean;
  readonly rule?: Partial<HostRule>;
}

export async function openWorld(options: WorldOptions): Promise<InterceptedWorld> {
  const { scheme = 'https', rule = {}, isTrusted = true } = options;
  const internet = await createAuthority({ ...lifetime, commonName: 'Internet CA' });
  const own = await createAuthority({ ...lifetime, commonName: 'Sandbox CA' });
  const host = await openHost(options, internet);
  const recorded: InterceptedRequest[] = [];
  const resolved: PlaceholderRequest[] = [];
  const values = new Map<string, string>();
  let isRefusing = false;
  let connections = 0;
  let hostRule = ruleOf(rule);
  const sandbox = (): PolicedSandbox => ({
    address: '10.0.0.2',
    sandboxId: 'isandbox',
    generation: 'g',
    usedBytes: 0,
    teamId: 'team',
    targets: parseEgressPolicy({}),
    isLearning: false,
    hostRules: [hostRule],
    proxy: undefined,
    limits: { bytes: 0, connections: 0, connectionsPerSecond: 0, bytesPerSecond: 0 },
    identityTokens: {},
    authority: { certificate: own.certPem, privateKey: new Secret(own.keyPem) },
  });
  const interceptor = createInterceptor({
    resolve: (request) => {
      resolved.push(request);
      return Promise.resolve(
        Object.fromEntries(
          request.placeholders.flatMap((name) => (values.has(name) ? [[name, values.get(name) ?? '']] : [])),
        ),
      );
    },
    trust: createSecureContext({ ca: isTrusted ? [internet.certPem] : [own.certPem] }),
    logger: silentLogger,
  });
  const entrance = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => {
    const signal = new AbortController().signal;
    void interceptor.intercept({
      ...{ client, scheme, name: hostName, port: scheme === 'https' ? 443 : 80, sandbox, signal },
      judge: () => ({ isAllowed: true, rule: hostName }),
      record: (request) => void recorded.push(request),
      dial: async () => {
        if (isRefusing) throw new EgressRefusal('forbidden_address');
        const socket = connect(host.port, '127.0.0.1');
        await once(socket, 'connect');
        connections += 1;
        return { socket, address: '203.0.113.7' };
      },
    });
  });
  entrance.listen(0, '127.0.0.1');
  await once(entrance, 'listening');
  return {
    port: (entrance.address() as AddressInfo).port,
    caPem: own.certPem,
    ...{ recorded, resolved, values },
    setRule: (next) => void (hostRule = ruleOf(next)),
    refuse: () => void (isRefusing = true),
    hostConnections: () => connections,
    async [Symbol.asyncDispose]() {
      entrance.close();
      await interceptor[Symbol.asyncDispose]();
      host.close();
    },
  };
}

function ruleOf(rule: Partial<HostRule>): HostRule {
  return { name: hostName, isWildcard: false, text: hostName, headers: {}, requests: [], ...rule };
}

async function openHost(options: WorldOptions, internet: CertificateWithKey): Promise<{ port: number; close(): void }> {
  const { scheme = 'https', protocol = 'http/1.1', answer, certifiedName = hostName, onServer } = options;
  const { certPem, keyPem } = await issueCertificate(await openIssuer(internet), {
    ...lifetime,
    commonName: 'host',
    names: [{ type: 'dns', value: certifiedName }],
  });
  const tls = { cert: certPem, key: keyPem };
  const server =
    scheme === 'http'
      ? createHttpServer(answer)
      : protocol === 'h2'
        ? createSecureServer(tls, answer as never)
        : createHttpsServer(tls, answer);
  onServer?.(server as unknown as Server);
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

export async function textOf(message: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message) text += String(chunk);
  return text;
}
