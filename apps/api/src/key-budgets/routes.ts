import { SoulBoxError } from '@soulbox/base';
import { budgetKinds, budgetPeriods } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { errors } from '../http/schemas.ts';
import { usedOf } from '../quotas/budgets.ts';

const params = z.object({ apiKeyID: z.string().max(64) });
const budgetSchema = z.object({
  kind: z.enum(budgetKinds).describe('What its sandboxes may use, or how many it may create.'),
  period: z.enum(budgetPeriods).describe('`day`: from 00:00 to 24:00 UTC.'),
  amount: z.int().min(0).max(1_000_000_000_000),
});
const newBudgetsSchema = z
  .object({
    budgets: z
      .array(budgetSchema)
      .max(budgetKinds.length * budgetPeriods.length)
      .refine((all) => new Set(all.map(({ kind, period }) => `${kind} ${period}`)).size === all.length, {
        message: 'must not have a kind and period more than once',
      }),
  })
  .meta({ id: 'NewKeyBudgets' });
const budgetsSchema = z
  .object({ budgets: z.array(budgetSchema.extend({ used: z.number() })) })
  .meta({ id: 'KeyBudgets', description: 'Budgets of an API key, and what is used of them.' });

export function addKeyBudgetRoutes(app: ApiApp, context: ApiContext): void {
  const { records, quotas } = context;
  const read = async (teamId: string, keyId: string): Promise<z.infer<typeof budgetsSchema>> => {
    const used = await records.quotas.readKey(teamId, keyId, quotas.today());
    const budgets = await records.quotas.listBudgets({ teamId, keyId });
    return {
      budgets: budgets.map(({ kind, period, amount }) => ({ kind, period, amount, used: usedOf(used[period], kind) })),
    };
  };
  // The budget of a revoked key still applies to its sandboxes, so it can still be raised.
  const checkKey = async (teamId: string, keyId: string): Promise<void> => {
    if ((await records.quotas.listBudgets({ teamId, keyId })).length > 0) return;
    if ((await records.apiKeys.find(teamId, keyId)) === undefined)
      throw new SoulBoxError('key_not_found', `API key ${quoteForError(keyId)} was not found.`);
  };

  app.get(
    '/api-keys/:apiKeyID/budgets',
    {
      schema: {
        tags: ['api keys'],
        summary: 'Budgets of an API key. SoulBox extension.',
        params,
        response: { 200: budgetsSchema, ...errors(404) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const { apiKeyID } = request.params;
      await checkKey(team.id, apiKeyID);
      return await read(team.id, apiKeyID);
    },
  );

  app.put(
    '/api-keys/:apiKeyID/budgets',
    {
      schema: {
        tags: ['api keys'],
        summary: 'Replace the budgets of an API key. SoulBox extension.',
        description: 'A key that has a budget itself cannot change budgets.',
        params,
        body: newBudgetsSchema,
        response: { 200: budgetsSchema, ...errors(400, 403, 404, 413, 415) },
      },
    },
    async (request) => {
      const { team, keyId: callerKeyId } = callerOf(request);
      const { apiKeyID: keyId } = request.params;
      await quotas.refuseBudgeted({ teamId: team.id, keyId: callerKeyId });
      await checkKey(team.id, keyId);
      const budgets = request.body.budgets.map((budget) => ({ ...budget, teamId: team.id, keyId }));
      await records.quotas.setBudgets(team.id, keyId, budgets, auditNote(request));
      context.logger.info({ team: team.id, keyId, budgets: budgets.length }, 'budgets of an API key changed');
      return await read(team.id, keyId);
    },
  );
}
