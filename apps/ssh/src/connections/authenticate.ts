import type { Socket } from 'node:net';
import type { Logger } from '@soulbox/base';
import { errorFromUnknown } from '@soulbox/base';
import type { SshAdmission, SshAuthority } from '@soulbox/contract/ssh-service';
import type { AuthContext, Connection, PublicKeyAuthContext } from 'ssh2';
import { attemptsMax, signInMs } from '../limits.ts';

const methods: AuthContext['method'][] = ['publickey'];
/** Those whose signatures control verifies. SHA-1 is not among them: of `ssh-rsa`, the hash is checked there. */
const kinds = new Set(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa']);

/**
 * Lets clients in by public key only. Every key of a supported kind looks acceptable until it has signed: whether it is
 * known, and whether the sandbox exists, shows in nothing but the answer of control to a valid signature. Calls `onSignedIn`
 * once, before the client hears of it.
 */
export function authenticate(
  client: Connection,
  socket: Socket,
  {
    authority,
    onDeciding,
    onSignedIn,
    logger,
  }: {
    authority: SshAuthority;
    /** Control has been asked, or has answered. */
    onDeciding: (isDecided: boolean) => void;
    onSignedIn: (admission: SshAdmission) => void;
    logger: Logger;
  },
): void {
  let attempts = 0;
  let isAsking = false;
  let isIn = false;
  const tooLate = (): void => void socket.destroy();
  let timer = setTimeout(tooLate, signInMs);
  socket.once('close', () => clearTimeout(timer));

  const decide = async (context: PublicKeyAuthContext, signature: Buffer, signed: Buffer): Promise<void> => {
    isAsking = true;
    clearTimeout(timer);
    onDeciding(false);
    try {
      const admission = await authority.authorize({
        ...{ user: context.username, publicKey: context.key.data, signed, signature },
        address: socket.remoteAddress ?? '',
      });
      if (socket.destroyed) return;
      isIn = true;
      onSignedIn(admission);
      context.accept();
    } catch (thrown) {
      const { reason } = errorFromUnknown(thrown);
      logger.debug({ reason, address: socket.remoteAddress }, 'a sign-in by SSH was refused');
      if (socket.destroyed) return;
      timer = setTimeout(tooLate, signInMs);
      context.reject(methods);
    } finally {
      onDeciding(true);
      isAsking = false;
    }
  };

  client.on('authentication', (context) => {
    attempts += 1;
    // The library keeps further requests until this one is decided.
    if (isIn || isAsking || attempts > attemptsMax) {
      socket.destroy();
      return;
    }
    if (context.method !== 'publickey' || !kinds.has(context.key.algo)) context.reject(methods);
    else if (context.signature === undefined || context.blob === undefined) context.accept();
    else void decide(context, context.signature, context.blob);
  });
}
