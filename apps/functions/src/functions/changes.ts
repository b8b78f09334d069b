import type { Secret } from '@soulbox/base';
import type { DeployRequest } from '@soulbox/contract/function-service';
import type { FunctionKind } from '@soulbox/contract/functions';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import type { ServingSandboxes } from '../sandboxes/serving.ts';
import { createFunction } from './create.ts';
import { deployFunction } from './deploy.ts';
import { removeSecret } from './remove-secret.ts';
import { removeFunction } from './remove.ts';
import type { ChangeContext } from './replace-sandbox.ts';
import { rollbackFunction } from './rollback.ts';
import { setSecrets } from './set-secrets.ts';

/**
 * The operations that change a function. Each except `remove` first starts a sandbox for the new definition, and makes
 * the change only when that sandbox serves.
 */
export interface Changes {
  create(teamId: string, name: string, kind: FunctionKind, request: DeployRequest): Promise<FunctionRecord>;
  deploy(teamId: string, name: string, request: DeployRequest): Promise<FunctionRecord>;
  rollback(teamId: string, name: string, version: number | undefined): Promise<FunctionRecord>;
  setSecrets(teamId: string, name: string, secrets: Readonly<Record<string, Secret>>): Promise<FunctionRecord>;
  removeSecret(teamId: string, name: string, secret: string): Promise<FunctionRecord>;
  remove(teamId: string, name: string): Promise<void>;
}

/** Allows one change of a function at a time. */
export function createChanges(given: FunctionsContext, serving: ServingSandboxes): Changes {
  const context: ChangeContext = { ...given, serving };
  const alone =
    <A extends unknown[], T>(
      change: (context: ChangeContext, teamId: string, name: string, ...rest: A) => Promise<T>,
    ) =>
    (teamId: string, name: string, ...rest: A): Promise<T> =>
      context.locks.alone(name, () => change(context, teamId, name, ...rest));
  return {
    create: alone(createFunction),
    deploy: alone(deployFunction),
    rollback: alone(rollbackFunction),
    setSecrets: alone(setSecrets),
    removeSecret: alone(removeSecret),
    remove: alone(removeFunction),
  };
}
