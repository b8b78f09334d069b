import koffi from 'koffi';
import type { KoffiFunc } from 'koffi';
import { SoulBoxError } from '@soulbox/base';
import type { Structure } from './layout.ts';

/** Results of PKCS #11 that we treat in a special way. All others are faults. */
export const results = {
  ok: 0x0n,
  generalError: 0x5n,
  encryptedDataInvalid: 0x40n,
  encryptedDataLength: 0x41n,
  pinIncorrect: 0xa0n,
  pinLocked: 0xa4n,
  alreadyLoggedIn: 0x100n,
  alreadyInitialized: 0x191n,
} as const;

/** Parameters: `n` for CK_ULONG, `p` for a pointer. */
const calls = {
  C_Initialize: 'p',
  C_GetSlotList: 'npp',
  C_GetTokenInfo: 'np',
  C_OpenSession: 'nnppp',
  C_CloseSession: 'n',
  C_Login: 'nnpn',
  C_FindObjectsInit: 'npn',
  C_FindObjects: 'npnp',
  C_FindObjectsFinal: 'n',
  C_GenerateKey: 'nppnp',
  C_EncryptInit: 'npn',
  C_Encrypt: 'npnpp',
  C_DecryptInit: 'npn',
  C_Decrypt: 'npnpp',
} as const;

export type Call = keyof typeof calls;
export type Argument = bigint | Buffer | Structure | null;

/** Calls a function of the module on another thread. Returns its result. */
export type Pkcs11Module = (name: Call, ...args: readonly Argument[]) => Promise<bigint>;

/** Loads a module, which is code of the operator's choice. Throws `config_invalid`. */
export function loadPkcs11Module(path: string): Pkcs11Module {
  try {
    const library = koffi.load(path);
    const functions = Object.entries(calls).map(([name, parameters]) => {
      const types = Array.from(parameters, (letter) => (letter === 'n' ? 'unsigned long' : 'void *'));
      return [name, library.func(name, 'unsigned long', types)] as const;
    });
    const byName = new Map<string, KoffiFunc<(...args: unknown[]) => number | bigint>>(functions);
    return async (name, ...args) =>
      await new Promise((resolve, reject) => {
        const passed = args.map((value) => (isStructure(value) ? value.bytes : value));
        byName.get(name)?.async(...passed, (error: unknown, result: number | bigint) => {
          // `args` stays reachable until here, and with it what the structures point to.
          if (error instanceof Error && args.length >= 0) reject(error);
          else resolve(BigInt(result));
        });
      });
  } catch (cause) {
    throw new SoulBoxError('config_invalid', `The PKCS #11 module ${path} cannot be loaded.`, { cause });
  }
}

const isStructure = (value: Argument): value is Structure =>
  value !== null && typeof value === 'object' && 'parts' in value;
