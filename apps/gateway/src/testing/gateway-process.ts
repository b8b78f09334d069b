import { startTestWorld, sandboxId } from './test-world.ts';
import type { GatewayProcessOptions } from './start-gateway-process.ts';

// A gateway alone in a process, so that its memory can be measured. Started by start-gateway-process.ts.
const options = JSON.parse(process.argv[2] ?? '') as GatewayProcessOptions;
const world = await startTestWorld({
  config: options.config ?? {},
  ...(options.apiPort === undefined ? {} : { apiAddress: { host: '127.0.0.1', port: options.apiPort } }),
});
for (const [port, localPort] of Object.entries(options.ports ?? {})) {
  world.router.serve(sandboxId, Number(port), localPort);
}
process.send?.({ port: world.gateway.port });
process.once('disconnect', () => void world[Symbol.asyncDispose]());
