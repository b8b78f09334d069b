import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { GatewayConfig } from './config.ts';

const dayMs = 86_400_000;
/** Renewals by ACME come 30 days before the end: one with less than this left was not renewed. */
const warnBeforeMs = 14 * dayMs;

/** What an operator should know about how clients reach the server; nothing of it keeps it from its start. */
export async function findExposures(config: GatewayConfig, now: number): Promise<string[]> {
  return judgeExposures(config, await readOperatorCertificate(config), now);
}

/** `certificate`: the operator's; there is none when it is our own, which is renewed in time. */
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

/** The plain port carries API keys and access tokens as they are. */
export function judgePlainPort(host: string, port: number): string | undefined {
  if (/^(?:127\.|::1$|\[::1\]$|localhost$)/.test(host)) return undefined;
  const where = port === 0 ? host : `${host}:${port}`;
  return (
    `plain HTTP on ${where} can be reached from other machines: keys and data pass unencrypted. Give clients the TLS port and ` +
    'close the plain one to them, or listen on 127.0.0.1 behind a load balancer that speaks TLS'
  );
}

/** Undefined while it is good for long enough. */
export function judgeExpiry({ validTo }: { readonly validTo: string }, now: number): string | undefined {
  const left = Date.parse(validTo) - now;
  if (left > warnBeforeMs) return undefined;
  const day = new Date(validTo).toISOString().slice(0, 10);
  const state = left <= 0 ? `expired on ${day}: clients refuse it` : `expires on ${day}`;
  return `the TLS certificate ${state}. Put a new one in its files (SOULBOX_TLS_CERT, SOULBOX_TLS_KEY); it is in use within the hour`;
}

/** Our own is renewed in time. One that cannot be read stops the start, which says why. */
async function readOperatorCertificate({ tls, tlsCertFile }: GatewayConfig): Promise<X509Certificate | undefined> {
  if (!tls || tlsCertFile === '') return undefined;
  try {
    return new X509Certificate(await readFile(tlsCertFile));
  } catch {
    return undefined;
  }
}
