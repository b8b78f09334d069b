/** One connection or look-up of a sandbox to the outside, after its end. It outlives the row of its sandbox. */
export interface ConnectionRecord {
  readonly teamId: string;
  readonly sandboxId: string;
  readonly startedAt: number;
  readonly durationMs: number;
  /** `tcp`, `http`, `tls`, `dns`, `udp`, `icmp` or `other`. */
  readonly protocol: string;
  /** The host name that decided; empty if none was seen. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** The entry of the policy that decided; empty if the default did. */
  readonly rule: string;
  readonly isAllowed: boolean;
  /** Why it was refused or ended early; empty if it ended normally. */
  readonly reason: string;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Of an intercepted request; otherwise empty. */
  readonly method: string;
  readonly path: string;
  /** Connections that the record stands for; 0 if it only says that some may be missing. */
  readonly count: number;
}

export interface ConnectionQuery {
  readonly teamId: string;
  /** Undefined: those of all the team's sandboxes. */
  readonly sandboxId: string | undefined;
  /** Undefined: allowed and refused ones. */
  readonly isAllowed: boolean | undefined;
  /** Only those before this number, for the next page. Undefined: from the newest. */
  readonly before: number | undefined;
  readonly limit: number;
}

/** A destination that a sandbox used, with the number of its connections. */
export interface Destination {
  /** Empty: the sandbox used the address alone. */
  readonly name: string;
  /** The address, if there is no name. */
  readonly address: string;
  readonly port: number;
  readonly count: number;
}

/** The connections of sandboxes to the outside. */
export interface ConnectionRecords {
  /** Adds them in one transaction. Of a team that exceeds `kept`, the oldest are removed soon afterwards. */
  add(connections: readonly ConnectionRecord[], kept: number): Promise<void>;
  /** Newest first; `sequence` increases with every connection of the server. */
  list(query: ConnectionQuery): Promise<(ConnectionRecord & { readonly sequence: number })[]>;
  /** The destinations of the sandbox's allowed connections, most used first. */
  destinations(teamId: string, sandboxId: string, limit: number): Promise<Destination[]>;
  /** Deletes at most `limit` of those that began before `before`. Returns their number. */
  purge(before: number, limit: number): Promise<number>;
}
