import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { MasterKey, MasterKeySource } from '../master-key.ts';
import type { Pkcs11Module } from './module.ts';
import { openPkcs11Session } from './session.ts';
import type { Pkcs11Session, TokenAccess } from './session.ts';

/** A call of a module takes milliseconds. After this time it counts as hanging. */
const callMs = 10_000;
/** Faults of the module are tried again after these times: a token was removed, a network HSM was restarted. */
const pausesMs = [100, 500, 2000];
const kind = 'pkcs11';
const version = Buffer.from([1]);

/**
 * Master keys in a hardware security module, or in another program with a PKCS #11 module. They never leave it. Each is
 * an AES key whose label is the id without `pkcs11:`. Nothing is called before the first use, because the module must
 * not run before this process has dropped its privileges.
 */
export function pkcs11MasterKeys(module: Pkcs11Module, access: TokenAccess): MasterKeySource {
  let session: Promise<Pkcs11Session> | undefined;
  // A session does one thing at a time.
  let last: Promise<unknown> = Promise.resolve();

  const once = async <T>(work: (session: Pkcs11Session) => Promise<T>): Promise<T> => {
    session ??= openPkcs11Session(module, access);
    try {
      return await withinTime(session.then(work), callMs);
    } catch (error) {
      // After a wrong PIN the session stays closed, because a token locks itself after some attempts.
      if (isUnavailable(error)) session = undefined;
      throw error;
    }
  };
  const inSession = <T>(work: (session: Pkcs11Session) => Promise<T>): Promise<T> => {
    const result = last.then(async () => {
      for (const pauseMs of pausesMs) {
        try {
          return await once(work);
        } catch (error) {
          if (!isUnavailable(error) || error.message === hangs) throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      return await once(work);
    });
    last = result.catch(() => undefined);
    return result;
  };

  const masterKeyOf = (label: string): MasterKey => {
    const id = `${kind}:${label}`;
    const associated = (context: string): Buffer => Buffer.from(`soulbox master key 1\0${id}\0${context}`, 'utf8');
    const keyIn = async (opened: Pkcs11Session): Promise<bigint> => {
      const handle = await opened.findKey(label);
      if (handle !== undefined) return handle;
      throw new SoulBoxError('master_key_missing', `The master key ${id} is not in the PKCS #11 token any more.`);
    };
    return {
      id,
      wrap: async (plain, context) => {
        const bytes = await inSession(async (opened) =>
          opened.encrypt(await keyIn(opened), plain, associated(context)),
        );
        return Buffer.concat([version, bytes]);
      },
      async unwrap(wrapped, context) {
        const plain = await inSession(async (opened) =>
          wrapped[0] === version[0]
            ? await opened.decrypt(await keyIn(opened), wrapped.subarray(1), associated(context))
            : undefined,
        );
        if (plain !== undefined) return plain;
        const message = `Something that the master key ${id} should have wrapped cannot be unwrapped with it.`;
        throw new SoulBoxError('state_damaged', message);
      },
      [Symbol.dispose]: () => undefined,
    };
  };

  return {
    kind,
    where: `the PKCS #11 token "${access.token}"`,
    async find(id) {
      const label = id.slice(kind.length + 1);
      return (await inSession((opened) => opened.findKey(label))) === undefined ? undefined : masterKeyOf(label);
    },
    // A token may serve several servers, so a key that is not ours may be another's.
    findUnused: () => Promise.resolve(undefined),
    async create() {
      const label = `soulbox-${randomBytes(8).toString('hex')}`;
      await inSession((opened) => opened.generateKey(label));
      return masterKeyOf(label);
    },
    remove: () => Promise.resolve(false),
    [Symbol.asyncDispose]: async () => {
      await last;
    },
  };
}

const hangs = 'The PKCS #11 module does not respond.';
const isUnavailable = (error: unknown): error is SoulBoxError =>
  error instanceof SoulBoxError && error.reason === 'key_store_unavailable';

async function withinTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SoulBoxError('key_store_unavailable', hangs)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
