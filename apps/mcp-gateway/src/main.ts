import { spawn } from 'node:child_process';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { gatewayPort, knownServers, logFile, parseConfig, takeToken, tokenFile } from './config.ts';
import { serve } from './serve.ts';
import { startUpstream } from './upstream.ts';

// mcp-gateway --config JSON     starts the gateway, waits until it serves, and leaves it running
// mcp-gateway pull NAME...      checks that the template has these servers (template builds call it)
// mcp-gateway serve --config    the gateway itself, which tells the first command when it is ready

const usage = `usage: mcp-gateway --config JSON | mcp-gateway pull NAME...`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { config: { type: 'string' } }, allowPositionals: true });
  const [command, ...names] = positionals;
  if (command === 'pull' && names.length > 0) return pull(names);
  if (values.config === undefined || (command !== undefined && command !== 'serve')) throw new Error(usage);
  if (command === 'serve') return await runGateway(values.config);
  return await launch(values.config);
}

function pull(names: readonly string[]): number {
  const missing = names.filter((name) => !(knownServers as string[]).includes(name));
  if (missing.length === 0) return 0;
  throw new Error(`This template has no MCP server ${missing.join(', ')}. It has: ${knownServers.join(', ')}.`);
}

/** Throws the gateway's own message when the gateway cannot serve. */
async function launch(config: string): Promise<number> {
  parseConfig(config);
  await mkdir(dirname(logFile), { recursive: true });
  const log = await open(logFile, 'a', 0o600);
  const script = process.argv[1] ?? '';
  const child = spawn(process.execPath, [script, 'serve', '--config', config], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
  });
  await log.close();
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once('message', (message) => {
      resolve(message === 'ready' ? undefined : (message as string));
    });
    child.once('exit', (code) => {
      resolve(`The gateway ended with ${String(code)}; see ${logFile}.`);
    });
    child.once('error', (error) => {
      resolve(error.message);
    });
  });
  if (failure !== undefined) throw new Error(failure);
  child.disconnect();
  child.unref();
  return 0;
}

async function runGateway(config: string): Promise<number> {
  try {
    const token = takeToken();
    await mkdir('/var/lib/mcp-gateway', { recursive: true, mode: 0o700 });
    await mkdir(dirname(tokenFile), { recursive: true, mode: 0o755 });
    await writeFile(tokenFile, token, { mode: 0o600 });
    const upstreams = await Promise.all(parseConfig(config).map(startUpstream));
    for (const { name, client } of upstreams) {
      client.onclose = () => {
        process.stderr.write(`MCP server "${name}" ended\n`);
      };
    }
    await serve(upstreams, { token, port: gatewayPort, host: '0.0.0.0' });
    await tell('ready');
    return await new Promise<never>(() => undefined);
  } catch (error) {
    await tell(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

async function tell(message: string): Promise<void> {
  if (process.send === undefined) return;
  await new Promise<void>((resolve) => {
    process.send?.(message, undefined, undefined, () => {
      resolve();
    });
  });
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
