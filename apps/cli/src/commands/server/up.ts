import { join, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { createLogger } from '@soulbox/base/logger';
import type { BoxConfig, BoxOverrides } from '@soulbox/box';
import { isolations } from '@soulbox/contract';
import { findServer } from '@soulbox/box/server-file';
import type { ServerFile } from '@soulbox/box/server-file';
import { environment, isPrepared, resolveFolders } from '../../config.ts';
import { onUnread } from '../../output/reader.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { dataDirArg, jsonArg, parseChoiceFlag, parseNumberFlag } from '../../command-line/shared-args.ts';
import { readClientEnvironment, toShellLines } from '../../server/client-lines.ts';
import { tellServiceManager } from '../../server/service-manager.ts';
import { startAnew } from '../../server/start-anew.ts';

export const up = defineCommand({
  meta: {
    name: 'up',
    description:
      'Start the server in the foreground until Ctrl-C (which ends its sandboxes), or with --detach in the background',
    examples: ['sudo soulbox up --detach', 'sudo soulbox up --port 8080 --isolation gvisor'],
  },
  args: {
    detach: { type: 'boolean', alias: 'd', description: 'Run in the background; return when the server is ready' },
    port: { type: 'string', description: 'Port for HTTP (default 3000; 0 chooses a free port)', valueHint: 'PORT' },
    'tls-port': {
      type: 'string',
      description: 'Port for HTTPS (default 3443; 0 chooses a free port)',
      valueHint: 'PORT',
    },
    'ssh-port': {
      type: 'string',
      description: 'Port for SSH into sandboxes, usually 2222 (default 0: off)',
      valueHint: 'PORT',
    },
    host: { type: 'string', description: 'Address to listen on (default 127.0.0.1)', valueHint: 'ADDRESS' },
    'data-dir': dataDirArg,
    instance: { type: 'string', description: 'Number of this server on the host, 0 to 14 (default 0)', valueHint: 'N' },
    isolation: {
      type: 'string',
      description: 'Isolation of sandboxes that do not specify one',
      valueHint: isolations.join('|'),
    },
    'encrypt-disks': {
      type: 'boolean',
      description: 'Encrypt files of sandboxes, volumes and buckets (ext4 with the feature encrypt; a new data folder)',
    },
    'log-file': {
      type: 'string',
      description:
        'Log to this file (default: DATA/logs/server.log at a terminal and with --detach, else standard error)',
      valueHint: 'FILE',
    },
    install: {
      type: 'boolean',
      description: 'First install missing packages (Debian and Ubuntu) and, in a clone, the command in /usr/local/bin',
    },
    units: {
      type: 'boolean',
      description: 'Run the processes of the server as the systemd units of the Debian package',
    },
    json: jsonArg,
  },
  async run({ args }) {
    // The reader of the first lines may close the pipe; the server must continue.
    using _ = onUnread(() => undefined);
    const folders = resolveFolders(args['data-dir']);
    const port = parseNumberFlag('port', args.port, 0, 65_535);
    const tlsPort = parseNumberFlag('tls-port', args['tls-port'], 0, 65_535);
    const sshPort = parseNumberFlag('ssh-port', args['ssh-port'], 0, 65_535);
    const instance = parseNumberFlag('instance', args.instance, 0, 14);
    const isolation = parseChoiceFlag('isolation', args.isolation, isolations);
    const overrides: BoxOverrides = {
      dataDirectory: folders.dataDirectory,
      ...(port === undefined ? {} : { port }),
      ...(tlsPort === undefined ? {} : { tlsPort }),
      ...(sshPort === undefined ? {} : { sshPort }),
      ...(instance === undefined ? {} : { instance }),
      ...(args.host === undefined ? {} : { host: args.host }),
      ...(isolation === undefined ? {} : { isolation }),
      ...(args['encrypt-disks'] === true ? { encryptDisks: true } : {}),
    };
    const units = args.units === true;
    if (units && (args.detach === true || args['log-file'] !== undefined))
      throw new UsageError('--units cannot be combined with --detach or --log-file: systemd runs and logs its units.');
    const foreground = { json: args.json === true, logFile: args['log-file'], units };
    if (isPrepared) return await runInForeground(folders.dataDirectory, overrides, foreground);
    // Loaded here: the server never needs the code for the preparation.
    const { refuseHalfRestored } = await import('@soulbox/box/half-restored');
    await refuseHalfRestored(folders.dataDirectory);
    // Checked before minutes of preparation, so that a bad setting is reported at once.
    const config = await checkSettings(overrides, { warns: args.detach === true || process.stderr.isTTY });
    const running = await findServer(folders.dataDirectory);
    if (running !== undefined) {
      throw new SoulBoxError(
        'illegal_transition',
        `A server (pid ${running.pid}, port ${running.port}) already uses ${folders.dataDirectory}. ` +
          'Stop it with "soulbox down", or choose another --data-dir, --instance and ports.',
      );
    }
    const { checkStartable } = await import('@soulbox/box/check-startable');
    await checkStartable(config);
    const { prepareEverything } = await import('../../server/prepare.ts');
    const install = args.install === true;
    await prepareEverything(folders, { install, logger: createLogger({ level: 'warn' }), launcher: install });
    if (args.detach === true) {
      const logFile = resolve(args['log-file'] ?? join(folders.dataDirectory, 'logs/server.log'));
      const { startDetached } = await import('../../server/start-detached.ts');
      const server = await startDetached(folders.dataDirectory, { logFile, flags: flagsFrom(overrides) });
      tell(server, await readClientEnvironment(folders.dataDirectory, server, false), args.json === true);
      return exitCodes.ok;
    }
    startAnew();
    return await runInForeground(folders.dataDirectory, overrides, foreground);
  },
});

/**
 * Throws `config_invalid`. Warns of insecure but allowed settings, unless standard error is the log, which contains
 * these warnings anyway.
 */
async function checkSettings(overrides: BoxOverrides, { warns }: { readonly warns: boolean }): Promise<BoxConfig> {
  const { loadBoxConfig } = await import('@soulbox/box/config');
  const config = loadBoxConfig(environment, overrides);
  const { warnOf } = await import('@soulbox/box/exposure');
  if (warns) for (const words of await warnOf(config)) console.error(`Warning: ${words}.`);
  return config;
}

async function runInForeground(
  dataDirectory: string,
  overrides: BoxOverrides,
  options: { json: boolean; logFile: string | undefined; units: boolean },
): Promise<number> {
  // Loaded here: with --detach this process never needs the server's code.
  const { listenForStop, runServer } = await import('../../server/run-server.ts');
  const orders = listenForStop();
  // At a terminal the log goes to a file. Under systemd, in a container or in a pipe, standard error is where people
  // expect it.
  const { units } = options;
  const logFile =
    options.logFile ?? (process.stderr.isTTY && !units ? join(dataDirectory, 'logs/server.log') : undefined);
  const box = await Promise.race([runServer(overrides, { logFile, units }), orders.impatient]);
  if (box === true) return exitCodes.failed;
  const server = await findServer(dataDirectory);
  if (server !== undefined) {
    tell(server, await readClientEnvironment(dataDirectory, server, false), options.json);
  }
  const ports = server === undefined ? '' : ` on ${server.host}:${server.port}`;
  await tellServiceManager(['READY=1', `STATUS=Serving${ports}`]);
  if (process.stdout.isTTY) console.error('\nCtrl-C ends the server and its sandboxes.');
  return (await orders.obey(box)) ? exitCodes.failed : exitCodes.ok;
}

function tell(server: ServerFile, variables: Readonly<Record<string, string>>, json: boolean): void {
  const { pid, port, tlsPort } = server;
  const { E2B_API_KEY: _key, E2B_ACCESS_TOKEN: _token, ...others } = variables;
  // Output that is not a terminal is a log or a journal. Those are kept and shared, so they must not contain the key.
  const environment = process.stdout.isTTY ? variables : others;
  console.log(json ? JSON.stringify({ pid, port, tlsPort, environment }) : toShellLines(environment, false));
}

function flagsFrom(overrides: BoxOverrides): string[] {
  const flags = {
    port: overrides.port,
    'tls-port': overrides.tlsPort,
    'ssh-port': overrides.sshPort,
    instance: overrides.instance,
    host: overrides.host,
    isolation: overrides.isolation,
  };
  const given = Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  return overrides.encryptDisks === true ? [...given, '--encrypt-disks'] : given;
}
