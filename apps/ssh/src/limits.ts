/** Connections that have not signed in: when there are more, the oldest is closed. */
export const strangersMax = 100;
/** Of these, how many are not closed for others while control decides about their signatures. */
export const decidedMax = 50;
/** Connections of one address (IPv6: of one /64) that have not signed in. Further ones are refused. */
export const strangersOfAddressMax = 20;
/** How long a connection may take to sign in, without the time in which control decides. Milliseconds. */
export const signInMs = 30_000;
/** Bytes that a connection may send before it has signed in. An exchange of keys and 20 large keys need less. */
export const strangerBytesMax = 64 * 1024;
/** Requests to sign in on one connection. An agent may offer many keys. */
export const attemptsMax = 20;

/** One team may have one connection of this many that may be in at once, so that others find places. */
export const teamShare = 4;
/** Open channels of a connection. Browsers and editors open dozens through a forwarded port. */
export const channelsMax = 128;

/** Ports of the sandbox that a connection has forwarded to its client, and that all connections to a sandbox have. */
export const listenersOfConnectionMax = 8;
export const listenersOfSandboxMax = 16;
/** Connections through them. Those of one connection leave places for its other channels. */
export const remoteOfConnectionMax = 64;
export const remoteOfSandboxMax = 256;
/** Global requests of a connection that wait for their answers. */
export const globalRequestsMax = 64;

/** The smallest packets for which a channel is served. The usual clients take 16 KiB and more. */
export const packetMinBytes = 1024;

/** Bytes that wait for the socket of a client, after which the sandbox waits. */
export const outgoingHighBytes = 1024 * 1024;
/** The same while too much waits for all clients together. */
export const outgoingLowBytes = 128 * 1024;
export const outgoingOfAllBytes = 256 * 1024 * 1024;
/** Bytes that wait for it, whatever they are, after which the connection is cut. */
export const outgoingMaxBytes = 32 * 1024 * 1024;
/** Bytes of a connection, and of all, that wait for sandboxes to read. The windows of SSH allow 4 MiB for each channel. */
export const incomingOfConnectionBytes = 64 * 1024 * 1024;
export const incomingOfAllBytes = 256 * 1024 * 1024;
/** Bytes that a client may send on a channel beyond its window. The usual clients send none. */
export const windowExcessBytes = 64 * 1024;
/** Bytes of a channel that are on their way to a sandbox at once. They are not counted with those that wait. */
export const readAtOnceBytes = 64 * 1024;

/** How long an exchange of keys may take after the sign-in. Milliseconds. */
export const exchangeMs = 30_000;
/** The usual clients exchange keys once an hour, or after gigabytes. */
export const exchangesPerMinute = 20;

/** Of one session. */
export const variablesMax = 32;
export const variableMaxBytes = 1024;
/** The kernel's limit of one argument is 128 KiB. */
export const commandMaxBytes = 120 * 1024;

/** How often the keys of open connections are looked up, and what was done is reported. Milliseconds. */
export const lookEveryMs = 1000;
