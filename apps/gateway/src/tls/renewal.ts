import { X509Certificate } from 'node:crypto';
import type { Clock, Logger } from '@soulbox/base';
import type { GatewayConfig } from '../config.ts';
import { judgeExpiry } from '../exposure.ts';
import type { Certificate } from './certificate.ts';
import { openCertificate } from './open-certificate.ts';

/** Often enough for a certificate that an operator's own renewal installs, and rare enough to cost nothing. */
export const checkIntervalMs = 3_600_000;

export interface Renewal {
  /** Checks the files at once and uses the certificate if it has changed. Never throws. */
  check(): Promise<void>;
  [Symbol.dispose](): void;
}

/** Checks the certificate every hour and passes a new one to `use`. On an error the old one stays in use. */
export function startRenewal(options: {
  config: GatewayConfig;
  clock: Clock;
  current: Certificate;
  use: (certificate: Certificate) => void;
  logger: Logger;
}): Renewal {
  let { current } = options;
  const tellExpiry = ({ certPem, caFile }: Certificate): void => {
    const isOwn = caFile !== undefined;
    const exposure = isOwn ? undefined : judgeExpiry(new X509Certificate(certPem), options.clock.now());
    if (exposure !== undefined) options.logger.warn({ exposure }, 'certificate was not renewed in time');
  };
  const check = async (): Promise<void> => {
    try {
      const next = await openCertificate(options.config, options.clock);
      tellExpiry(next);
      if (next.certPem === current.certPem && next.keyPem === current.keyPem) return;
      options.use(next);
      current = next;
      options.logger.info({}, 'a new certificate is in use');
    } catch (error) {
      options.logger.error({ err: error }, 'certificate could not be renewed; the old one stays in use');
    }
  };
  const timer = setInterval(() => void check(), checkIntervalMs);
  timer.unref();
  return { check, [Symbol.dispose]: () => clearInterval(timer) };
}
