import { serverMemoryMib } from '@soulbox/testing';
import { Breach } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import { lab, namedCreate, namedPolicy, nameOf, zoneName } from '../../internet.ts';
import type { World } from '../../world.ts';
import { runPython } from './programs.ts';

/** The longest that a connection or a look-up of the other team may take meanwhile. Long for a machine that others share. */
const neighborMs = 2000;
const growthMib = 250;
const floodSeconds = 12;

/** Connects and looks up until the time is over. Prints the slowest of each, and how often it failed. */
const neighbor = (seconds: number): string => `
slowest, failed, count = 0, [], 0
end = time.time() + ${seconds}
while time.time() < end:
  for what in ('connection', 'look-up'):
    started = time.time()
    try:
      if what == 'connection': plain('${lab.allowed}', 80, b'GET /neighbor HTTP/1.1\\r\\nHost: ${nameOf('allowed')}\\r\\n\\r\\n', seconds=5)
      else: lookup('${nameOf('allowed')}', seconds=5)
    except OSError as error: failed.append('%s: %s' % (what, error))
    slowest = max(slowest, time.time() - started)
    count += 1
  time.sleep(0.05)
print(json.dumps({'slowest': slowest * 1000, 'failed': failed[:5], 'count': count}))`;

const until = `end = time.time() + ${floodSeconds}\n`;
const many = `import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
`;

/** Each prints how many it has made. */
const programs = {
  'opens 10,000 connections that say nothing': `${many}${until}
kept, made = [], 0
while made < 10000 and time.time() < end:
  opened = socket.socket()
  opened.setblocking(False)
  opened.connect_ex(('${lab.allowed}', 9443))
  kept.append(opened)
  made += 1
  if made % 20 == 0: time.sleep(0.01)
  if len(kept) > 3000: kept.pop(0).close()
time.sleep(max(0, end - time.time()))
print(made)`,
  'sends the first bytes of 1,000 connections slowly': `${many}${until}
flight = hello('${nameOf('allowed')}')
kept = []
for n in range(1000):
  opened = socket.socket()
  opened.setblocking(False)
  opened.connect_ex(('${lab.allowed}', 9443))
  kept.append(opened)
  if n % 20 == 0: time.sleep(0.02)
at = 0
while time.time() < end:
  for opened in kept:
    try: opened.send(flight[at:at + 1])
    except OSError: pass
  at += 1
print(len(kept))`,
  'makes 10,000 look-ups': `${until}
opened = connect('${lab.nameServer}', 53, socket.SOCK_DGRAM)
opened.setblocking(False)
made = 0
while made < 10000 and time.time() < end:
  try: opened.send(query('flood-%d.wild.${zoneName}' % made))
  except OSError: pass
  made += 1
  if made % 10 == 0: time.sleep(0.005)
time.sleep(max(0, end - time.time()))
print(made)`,
  'opens and resets connections as fast as it can': `${until}
made = 0
while time.time() < end:
  opened = socket.socket()
  opened.setblocking(False)
  opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
  opened.connect_ex(('${lab.allowed}', 80))
  opened.close()
  made += 1
print(made)`,
  'opens 500 TLS connections that a rule opens': `import threading
made, lock = 0, threading.Lock()
${until}
def work():
  global made
  while time.time() < end:
    try: https('${lab.ruled}', '${nameOf('plain')}', request('${nameOf('plain')}'), seconds=3)
    except OSError: pass
    with lock: made += 1
for n in range(32): threading.Thread(target=work).start()
while threading.active_count() > 1: time.sleep(0.1)
print(made)`,
} as const;

async function flood(world: World, body: string): Promise<string> {
  const { target } = world;
  const policy = { allowOut: [nameOf('allowed')], denyOut: ['0.0.0.0/0'] };
  return await world.withPolicy(
    policy,
    async (watched) =>
      world.withPolicy(
        namedPolicy(),
        async (sandbox) => {
          const alone = readReport(await runPython(watched, neighbor(1)));
          const before = serverMemoryMib(target.pid);
          const [made, said] = await Promise.all([
            runPython(sandbox, body, { timeoutMs: 120_000 }),
            runPython(watched, neighbor(floodSeconds), { timeoutMs: 120_000 }),
          ]);
          const report = readReport(said);
          const growth = Math.round(serverMemoryMib(target.pid) - before);
          // Otherwise the stand-in itself is away, and not the egress process.
          await fetch(`http://${lab.allowed}/`, { signal: AbortSignal.timeout(neighborMs) });
          if (report.failed.length > 0)
            throw new Breach(`the other team could not connect: ${report.failed.join('; ')}`);
          if (report.slowest > neighborMs) throw new Breach(`the other team waited ${Math.round(report.slowest)} ms`);
          if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
          if (!(Number(made) >= 300)) throw new Error(`the flood has made only ${made}`);
          const times = `${Math.round(report.slowest)} ms (${Math.round(alone.slowest)} ms alone)`;
          return `${made.trim()} made; the other team waited at most ${times} in ${report.count} tries; the server grew by ${growth} MiB`;
        },
        { create: namedCreate },
      ),
    { apiKey: world.neighbor.apiKey },
  );
}

interface Report {
  readonly slowest: number;
  readonly failed: readonly string[];
  readonly count: number;
}
const readReport = (text: string): Report => JSON.parse(text) as Report;

export const egressFloods: readonly Scene[] = Object.entries(programs).map(([name, body]) => ({
  ...{ kind: 'scene', wall: 'shares', by: ['user'], pace: 'long' },
  name: `${name}, in a sandbox with a policy`,
  run: async (world) => await flood(world, body),
}));
