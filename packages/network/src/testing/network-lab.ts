import { run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openNetwork, removeNetwork } from '../network.ts';
import type { FlowLog } from '../flows/flow-log.ts';
import type { Network, NetworkOptions } from '../network.ts';
import { joinToHost, readHostNetwork, startLabNamespace } from './test-lab.ts';
import type { LabNamespace } from './test-lab.ts';

/** A network beside the host: the host's address in it and those of its one machine, in CIDR form. */
export interface Site {
  readonly host: string;
  readonly addresses: readonly string[];
}

export interface NetworkLabOptions {
  /** A number that no other test file has. Interfaces and tables have it in their names. */
  readonly instance: number;
  /** A name server in `inside`. Sandboxes reach its port 53. */
  readonly resolver: string;
  /** Public addresses. Test files run at the same time, so each has its own part of 203.0.113.0/24. */
  readonly outside: Site;
  /** Private addresses. */
  readonly inside: Site;
  readonly flowLog?: FlowLog | undefined;
}

/** An instance's network with two attached sandboxes, one machine on the public side and one on a private network. */
export interface NetworkLab extends AsyncDisposable {
  readonly options: NetworkOptions;
  /** `readHostNetwork` before the lab. */
  readonly before: string;
  readonly network: Network;
  readonly outside: LabNamespace;
  readonly inside: LabNamespace;
  /** Attached to slot 1. */
  readonly sandbox: LabNamespace;
  /** Attached to slot 258. */
  readonly neighbor: LabNamespace;
  /** Starts another namespace. The lab stops it. */
  start(): Promise<LabNamespace>;
}

export async function openNetworkLab(lab: NetworkLabOptions): Promise<NetworkLab> {
  const { instance, resolver } = lab;
  const started: LabNamespace[] = [];
  const start = async (): Promise<LabNamespace> => {
    const namespace = await startLabNamespace();
    started.push(namespace);
    return namespace;
  };
  await removeNetwork(instance);
  const before = await readHostNetwork(instance);
  const [outside, inside, sandbox, neighbor] = await Promise.all([start(), start(), start(), start()]);
  const links = [
    { namespace: outside, name: `sl${instance}out`, ...lab.outside },
    { namespace: inside, name: `sl${instance}in`, ...lab.inside },
  ];
  for (const { namespace, name, host, addresses } of links) {
    await joinToHost(namespace, name, host, addresses);
    await namespace.ask({ op: 'listen', host: '0.0.0.0', port: 8080 });
    await namespace.ask({ op: 'listen', host: '0.0.0.0', port: 53 });
    await namespace.ask({ op: 'listen', host: '0.0.0.0', port: 9000, sink: true });
    for (const address of addresses)
      await namespace.ask({ op: 'listenUdp', host: address.replace(/\/.*/, ''), port: 53 });
  }
  const options: NetworkOptions = {
    instance,
    logger: silentLogger,
    nameServers: ['1.1.1.1', resolver],
    flowLog: lab.flowLog,
  };
  const network = await openNetwork(options);
  await Promise.all([network.attach(1, sandbox.path), network.attach(258, neighbor.path)]);
  return {
    ...{ options, before, network, outside, inside, sandbox, neighbor, start },
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map(async (namespace) => await namespace.stop()));
      for (const { name } of links) await run('ip', ['link', 'delete', name]).catch(() => undefined);
      await removeNetwork(instance);
    },
  };
}
