import { SoulBoxError } from '@soulbox/base';
import type { FunctionInfo, FunctionService } from '@soulbox/contract/function-service';

/** Functions of one team, of which each name exists. Other teams have none. Nothing is stored. */
export function createScriptedFunctions(ownerId: () => string): FunctionService {
  const own = <T>(teamId: string, answer: T): Promise<T> => {
    if (teamId === ownerId()) return Promise.resolve(answer);
    return Promise.reject(new SoulBoxError('function_not_found', 'No such function.'));
  };
  const info = (name: string): FunctionInfo => ({
    ...{ name, kind: 'workers', activeVersion: 1, environment: {}, secretNames: [], kvBindings: {} },
    limits: { requestTimeoutMs: 1000, memoryMb: 64, maxBodyBytes: 1000, idleSeconds: 60 },
    ...{ compatibilityDate: '2026-01-01', compatibilityFlags: [], sandboxId: undefined, state: 'none' },
    ...{ createdAt: 1, updatedAt: 1 },
  });
  const encoder = new TextEncoder();
  return {
    create: (_teamId, name) => Promise.resolve(info(name)),
    deploy: (teamId, name) => own(teamId, info(name)),
    rollback: (teamId, name) => own(teamId, info(name)),
    list: (teamId) => Promise.resolve(teamId === ownerId() ? [info('shop')] : []),
    get: (teamId, name) => own(teamId, info(name)),
    remove: (teamId) => own(teamId, undefined),
    listVersions: (teamId) => own(teamId, []),
    setSecrets: (teamId, name) => own(teamId, info(name)),
    removeSecret: (teamId, name) => own(teamId, info(name)),
    invoke: (teamId) => own(teamId, { status: 200, headers: [], body: encoder.encode('hello') }),
    readLog: (teamId) => own(teamId, []),
    listNamespaces: (teamId) =>
      Promise.resolve(teamId === ownerId() ? [{ name: 'shop', keyCount: 0, sizeBytes: 0, createdAt: 1 }] : []),
    removeNamespace: (teamId) => own(teamId, undefined),
  };
}
