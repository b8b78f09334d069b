/** What the library does with packets, by their numbers. */
declare module 'ssh2/lib/protocol/handlers.js' {
  interface Protocol {
    readonly _server: boolean;
    requestFailure(): void;
  }
  const handlers: ((protocol: Protocol, payload: Buffer) => void)[];
  export default handlers;
}
