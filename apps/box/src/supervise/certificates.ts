import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { X509Certificate } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { judgeExpiry } from '@soulbox/gateway/exposure';
import type { Certificate, GatewayConfig } from '@soulbox/gateway';

/** Short enough to pick up a certificate that the operator's own renewal installs, and long enough to cost nothing. */
const checkIntervalMs = 3_600_000;
const programTimeoutMs = 30_000;
const program = fileURLToPath(import.meta.resolve('@soulbox/gateway/certificate'));

/**
 * Reads the certificate for a gateway that may not read it. A short-lived process does this: otherwise the code that
 * makes certificates would stay in memory for a check once an hour. Throws `config_invalid`.
 */
export async function readCertificate(config: GatewayConfig): Promise<Certificate | undefined> {
  if (!config.tls) return undefined;
  const child = spawn(process.execPath, [program], {
    cwd: '/',
    env: {},
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: programTimeoutMs,
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(config));
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const told = JSON.parse(said === '' ? '{}' : said) as { certificate?: Certificate; error?: string };
  if (told.certificate !== undefined) return told.certificate;
  throw new SoulBoxError('config_invalid', told.error ?? 'The certificate could not be opened in time.');
}

/** Checks for a new certificate every hour and passes it to `use`. After an error the old one stays in use. */
export function followCertificate(options: {
  config: GatewayConfig;
  first: Certificate;
  use: (certificate: Certificate) => Promise<void>;
  logger: Logger;
}): Disposable & { check(): Promise<void> } {
  const { config, use, logger } = options;
  let current = options.first;
  const check = async (): Promise<void> => {
    try {
      const next = await readCertificate(config);
      if (next === undefined) return;
      const isOwn = next.caFile !== undefined;
      const exposure = isOwn ? undefined : judgeExpiry(new X509Certificate(next.certPem), Date.now());
      if (exposure !== undefined) logger.warn({ exposure }, 'the certificate was not renewed in time');
      if (next.certPem === current.certPem && next.keyPem === current.keyPem) return;
      current = next;
      await use(next);
    } catch (err) {
      logger.error({ err }, 'the certificate could not be renewed; the old one stays in use');
    }
  };
  const timer = setInterval(() => void check(), checkIntervalMs);
  timer.unref();
  return { check, [Symbol.dispose]: () => clearInterval(timer) };
}
