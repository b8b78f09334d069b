import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { GatewayConfig } from './config.ts';

const dayMs = 86_400_000;
/** ACME renews 30 days before the end. A certificate with less than this left was not renewed. */
const warnBeforeMs = 14 * dayMs;

/** Warnings for an operator about how clients reach the server. None of them prevents the start. */
export async function findExposures(config: GatewayConfig, now: number): Promise<string[]> {
  return judgeExposures(config, await readOperatorCertificate(config), now);
}

/** `certificate` is the operator's. It is undefined if our own is used, which is renewed in time. */
export function judgeExposures(
  config: GatewayConfig,
  certificate: { readonly validTo: string } | undefined,
  now: number,
): string[] {
  return [
    judgePlainPort(config.host, config.port),
    certificate === undefined ? undefined : judgeExpiry(certificate, now),
  ].filter((words) => words !== undefined);
}

/** The plain port transfers API keys and access tokens unencrypted. */
export function judgePlainPort(host: string, port: number): string | undefined {
  if (/^(?:127\.|::1$|\[::1\]$|localhost$)/.test(host)) return undefined;
  const where = port === 0 ? host : `${host}:${port}`;
  return (
    `plain HTTP on ${where} can be reached from other machines: keys and data pass unencrypted. Give clients the TLS port and ` +
    'block the plain one, or listen on 127.0.0.1 behind a load balancer that speaks TLS'
  );
}

/** Undefined if the certificate is valid for long enough. */
export function judgeExpiry({ validTo }: { readonly validTo: string }, now: number): string | undefined {
  const left = Date.parse(validTo) - now;
  if (left > warnBeforeMs) return undefined;
  const day = new Date(validTo).toISOString().slice(0, 10);
  const state = left <= 0 ? `expired on ${day}: clients refuse it` : `expires on ${day}`;
  return `the TLS certificate ${state}. Put a new one in its files (SOULBOX_TLS_CERT, SOULBOX_TLS_KEY); it is in use within the hour`;
}

/**
 * Undefined for our own certificate, which is renewed in time. Also for an unreadable file: it makes the start fail
 * with a proper error.
 */
async function readOperatorCertificate({ tls, tlsCertFile }: GatewayConfig): Promise<X509Certificate | undefined> {
  if (!tls || tlsCertFile === '') return undefined;
  try {
    return new X509Certificate(await readFile(tlsCertFile));
  } catch {
    return undefined;
  }
}
