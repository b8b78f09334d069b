import { startTestWorld } from './test-world.ts';
import type { TestWorld } from './test-world.ts';

/** A sandbox that resumes automatically. Its envd requires the token `right`. */
export const sleeper = 'isleeper';
export const token = { 'x-access-token': 'right' };
export const wakeTimeoutMs = 1000;

/** A world with this sandbox, which answers on the port of envd and on 8080. */
export async function startSleeperWorld(): Promise<TestWorld> {
  const world = await startTestWorld({ config: { wakeTimeoutMs, portClosedRetryDelayMs: 1 } });
  world.router.add(sleeper, { autoResume: true, secure: true, accessToken: 'right' });
  for (const port of [49983, 8080]) {
    await world.serve(
      port,
      (incoming, response) => {
        if (incoming.url === '/health') response.writeHead(204).end();
        else incoming.pipe(response);
      },
      { sandboxId: sleeper },
    );
  }
  return world;
}

export const at = (port: number, sandboxId = sleeper): { host: string } => ({
  host: `${port}-${sandboxId}.soulbox.localhost`,
});
