import handlers from 'ssh2/lib/protocol/handlers.js';

/** SSH_MSG_GLOBAL_REQUEST (RFC 4254, section 4) */
const globalRequest = 80;
let isDone = false;

/**
 * Makes servers of this process refuse global requests without reading what they contain. The library would parse it before
 * the client has signed in, and public keys in it with expressions that take quadratic time.
 */
export function refuseGlobalRequests(): void {
  const usual = handlers[globalRequest];
  if (isDone || usual === undefined) return;
  isDone = true;
  handlers[globalRequest] = (protocol, payload) => {
    if (!protocol._server) {
      usual(protocol, payload);
      return;
    }
    // The name, with its length, and whether the client wants an answer.
    const nameBytes = payload.length < 5 ? 0 : payload.readUInt32BE(1);
    const wantsAnswer = payload[5 + nameBytes];
    if (wantsAnswer === undefined) throw new Error('A global request is malformed.');
    if (wantsAnswer !== 0) protocol.requestFailure();
  };
}
