import { text } from 'node:stream/consumers';
import { systemClock } from '@soulbox/base';
import type { GatewayConfig } from '../config.ts';
import { openCertificate } from '../tls/open-certificate.ts';

// Opens or creates the certificate for a gateway that is not allowed to read it. It reads the gateway's settings and
// writes the result. The key only passes through pipes.
// A gateway that was killed meanwhile has closed its end.
process.stdout.on('error', () => process.exit(1));
const config = JSON.parse(await text(process.stdin)) as GatewayConfig;
try {
  process.stdout.write(JSON.stringify({ certificate: await openCertificate(config, systemClock) }));
} catch (thrown) {
  process.stdout.write(JSON.stringify({ error: thrown instanceof Error ? thrown.message : String(thrown) }));
}
