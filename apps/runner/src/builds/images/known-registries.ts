/** Registries that the server's owner knows, as `host` or `host:port`, and what they send their users to. */
export interface KnownRegistries {
  /** May be where sandboxes may not go. */
  readonly privateRegistries: readonly string[];
  /** Likewise, and speak plain HTTP or have a certificate that nobody vouches for. */
  readonly insecureRegistries: readonly string[];
}

export function isInsecure(registries: KnownRegistries, host: string): boolean {
  return registries.insecureRegistries.includes(host);
}

/** Whether a place is one of those. A registry without a port is asked on 443, and a plain one on 80 then. */
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
