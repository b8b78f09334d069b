/** Registries that the server's owner has named, as `host` or `host:port`, and the hosts that they redirect to. */
export interface KnownRegistries {
  /** These may be at addresses that sandboxes may not reach. */
  readonly privateRegistries: readonly string[];
  /** Likewise, and they use plain HTTP or have a certificate of no trusted authority. */
  readonly insecureRegistries: readonly string[];
}

export function isInsecure(registries: KnownRegistries, host: string): boolean {
  return registries.insecureRegistries.includes(host);
}

/** Whether a host and port belong to one of them. The default port is 443. For insecure ones 80 is a default, too. */
export function isKnown(registries: KnownRegistries, hostname: string, port: number): boolean {
  return placesOf(registries).some((place) => place.hostname === hostname.toLowerCase() && place.port === port);
}

export function placesOf({ privateRegistries, insecureRegistries }: KnownRegistries): readonly Place[] {
  return [
    ...privateRegistries.flatMap((host) => placesOfHost(host, [443])),
    ...insecureRegistries.flatMap((host) => placesOfHost(host, [443, 80])),
  ];
}

interface Place {
  readonly hostname: string;
  readonly port: number;
}

function placesOfHost(host: string, usualPorts: readonly number[]): Place[] {
  const [, hostname = '', port] = /^(.*?)(?::([0-9]+))?$/.exec(host.toLowerCase()) ?? [];
  return (port === undefined ? usualPorts : [Number(port)]).map((one) => ({ hostname, port: one }));
}
