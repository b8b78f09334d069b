import { text } from 'node:stream/consumers';
import { systemClock } from '@soulbox/base';
import type { GatewayConfig } from '../config.ts';
import { openCertificate } from '../tls/open-certificate.ts';

// Opens or makes the certificate for a gateway that may not read it. It reads the gateway's settings and tells what came of it; the key
// passes through pipes only.
const config = JSON.parse(await text(process.stdin)) as GatewayConfig;
try {
  process.stdout.write(JSON.stringify({ certificate: await openCertificate(config, systemClock) }));
} catch (thrown) {
  process.stdout.write(JSON.stringify({ error: thrown instanceof Error ? thrown.message : String(thrown) }));
}
