import type { Sandbox } from 'e2b';
import type { InsideAttempt, Policy, Result } from './attempt.ts';
import { nameOf, namedCreate, namedPolicy, lab, zoneName } from './internet.ts';
import { runBatch } from './run-batch.ts';
import type { Outcome } from './run-batch.ts';
import { judge, runControls } from './run-inside.ts';
import type { World } from './world.ts';

/**
 * Runs the attempts as the user and as root of two sandboxes with a network policy, and each control before. What
 * is heard outside afterward is what got through.
 */
export async function runPoliced(world: World, attempts: readonly InsideAttempt[]): Promise<Result[]> {
  const of = (policy: Policy): readonly InsideAttempt[] => attempts.filter((attempt) => attempt.policy === policy);
  const withControl = (place: string): readonly InsideAttempt[] => attempts.filter(({ control }) => control === place);
  const runIn = async (named: Sandbox, closed: Sandbox): Promise<Result[]> => {
    const control = { user: 'user', isControl: true } as const;
    const [allowed, open] = await Promise.all([
      runBatch(world, named, withControl('allowed'), { ...control, parameters: policedParameters('allowed') }),
      runBatch(world, world.attacker, withControl('open'), { ...control, parameters: policedParameters('forbidden') }),
    ]);
    const controls = new Map([...(await runControls(world, withControl('host'))), ...allowed, ...open]);
    // From here on, only sandboxes with a policy can be heard.
    await world.outside.forget();
    const results: Result[] = [];
    for (const by of ['user', 'root'] as const) {
      const mine = (policy: Policy): readonly InsideAttempt[] =>
        of(policy).filter((attempt) => attempt.by.includes(by));
      const options = { user: by, parameters: policedParameters('forbidden') };
      const outcomes = await Promise.all([
        runBatch(world, named, mine('named'), options),
        runBatch(world, closed, mine('closed'), options),
      ]);
      const found = new Map<string, Outcome>(outcomes.flatMap((some) => [...some]));
      for (const attempt of [...mine('named'), ...mine('closed')])
        results.push(judge(world, attempt, by, found, controls));
    }
    return results;
  };
  const withClosed = async (named: Sandbox): Promise<Result[]> =>
    await world.withPolicy({ allow_internet_access: false }, async (closed) => await runIn(named, closed));
  return await world.withPolicy(namedPolicy(), withClosed, { create: namedCreate });
}

/**
 * Where the programs connect. `front`: a host that the policy allows. `target`: where they want to get, which for the
 * control is the same host.
 */
function policedParameters(target: 'allowed' | 'forbidden'): Record<string, unknown> {
  return {
    frontName: nameOf('allowed'),
    frontAddress: lab.allowed,
    targetName: nameOf(target),
    targetAddress: lab[target],
    targetZone: target === 'allowed' ? `wild.${zoneName}` : `evil.${zoneName}`,
    ruledName: nameOf('ruled'),
    ruledAddress: lab.ruled,
    ...{ plainName: nameOf('plain'), captureName: nameOf('capture') },
    ...{ untrustedName: nameOf('untrusted'), foreignName: nameOf('foreign') },
    nameServer: lab.nameServer,
    // The watch for tunnels lets this many names pass that look like data.
    codedNames: 31,
  };
}
