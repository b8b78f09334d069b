import type { FunctionInfo } from '@soulbox/contract/function-service';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import { openEnvironment } from './sealed-values.ts';

export async function infoOf({ router, keyring }: FunctionsContext, record: FunctionRecord): Promise<FunctionInfo> {
  const route = record.sandboxId === undefined ? undefined : router.find(record.sandboxId);
  const { sealedSecrets, sealedEnvironment: _sealed, id: _id, teamId: _team, ...listed } = record;
  return {
    ...listed,
    environment: await openEnvironment(keyring, record),
    sandboxId: route?.sandboxId,
    secretNames: Object.keys(sealedSecrets).sort(),
    state: route === undefined ? 'none' : route.state === 'running' ? 'running' : 'asleep',
  };
}
