import { join } from 'node:path';
import type { ControlSettings } from '@soulbox/control';
import type { EgressSettings } from '@soulbox/egress';
import { createAddressPlan, egressPorts } from '@soulbox/network';
import type { RunnerSettings } from '@soulbox/runner/process';
import type { TraceSettings } from '@soulbox/tracing';
import {
  bucketsDirectoryIn,
  controlDirectoryIn,
  masterKeyFileIn,
  runnerKeysFileIn,
  volumesDirectoryIn,
} from './data-folder.ts';
import type { BoxConfig } from './config.ts';

/** The settings for the runner of this server. */
export function runnerSettings(config: BoxConfig): RunnerSettings {
  const { dataDirectory, templatesDirectory, networkCidr, deniedRanges } = config;
  const control = controlDirectoryIn(dataDirectory);
  return {
    config: config.runner,
    dataDirectory,
    templatesDirectory,
    uploadsDirectory: join(control, 'uploads'),
    functionsDirectory: join(control, 'functions'),
    serviceDirectories: [volumesDirectoryIn(dataDirectory), bucketsDirectoryIn(dataDirectory)],
    reserveDirectory: join(control, 'reserve'),
    networkCidr,
    keysFile: runnerKeysFileIn(dataDirectory),
    masterKeys: { config: config.keyring, defaultFile: masterKeyFileIn(control) },
    deniedRanges,
    traces: traceSettings(config),
  };
}

/** Where the spans of all parts go. */
export function traceSettings({ tracesUrl, tracesSamplePercent }: BoxConfig): TraceSettings {
  return { url: tracesUrl, samplePercent: tracesSamplePercent };
}

/** The settings for the egress process of this server. */
export function egressSettings({ runner, networkCidr, deniedRanges, egressCaFile }: BoxConfig): EgressSettings {
  const { egressAddress } = createAddressPlan(runner.instance, networkCidr === '' ? undefined : networkCidr);
  return {
    listen: { address: egressAddress, tcpPort: egressPorts.tcp, dnsPort: egressPorts.dns },
    nameServers: runner.nameServers,
    deniedRanges,
    ...(egressCaFile === '' ? {} : { caFile: egressCaFile }),
  };
}

/** The settings for the control plane of this server. */
export function controlSettings(
  config: BoxConfig,
  parts: Pick<
    ControlSettings,
    'directory' | 'apiSocket' | 'edgeWorker' | 'ssh' | 'volumesSocket' | 'bucketsSocket' | 'storage'
  >,
): ControlSettings {
  const { api, functions, deniedRanges, metricsToken } = config;
  return {
    api,
    functions,
    stageDirectory: join(parts.directory, 'backup-stage'),
    deniedRanges,
    metricsToken,
    traces: traceSettings(config),
    masterKeys: {
      config: config.keyring,
      defaultFile: masterKeyFileIn(parts.directory),
      defaultFileShown: masterKeyFileIn(controlDirectoryIn(config.dataDirectory)),
    },
    ...parts,
  };
}
