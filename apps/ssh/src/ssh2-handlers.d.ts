/** What the library does with packets, by their numbers. */
declare module 'ssh2/lib/protocol/handlers.js' {
  export interface Protocol {
    readonly _server: boolean;
    requestSuccess(data: Buffer | undefined): void;
    requestFailure(): void;
  }
  const handlers: ((protocol: Protocol, payload: Buffer) => void)[];
  export default handlers;
}
