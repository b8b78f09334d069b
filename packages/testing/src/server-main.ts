import { parseArgs } from 'node:util';
import { createLogger } from '@soulbox/base';
import { loadBoxConfig, startBox } from '@soulbox/box';

// Stands in for `soulbox up` where only a server is wanted: same flags, no preparation of the host.
const { values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string' },
    'tls-port': { type: 'string' },
    instance: { type: 'string' },
    'data-dir': { type: 'string' },
  },
});
const config = loadBoxConfig(process.env, {
  port: Number(values.port),
  tlsPort: Number(values['tls-port']),
  instance: Number(values.instance),
  ...(values['data-dir'] === undefined ? {} : { dataDirectory: values['data-dir'] }),
});
const box = await startBox({ config, logger: createLogger({ level: config.logLevel }) });
const signal = await new Promise<NodeJS.Signals>((resolve) => {
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(name, resolve);
});
await box.close({ keepSandboxes: signal === 'SIGHUP' });
