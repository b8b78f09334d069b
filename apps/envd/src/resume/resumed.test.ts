import { setTimeout as sleep } from 'node:timers/promises';

import { beforeEach, describe, expect, test } from 'vitest';
import { asUser, collect, createClients, runShell } from '../testing/clients.ts';
import { useEnvd } from '../testing/use-envd.ts';

const envd = useEnvd();
const copy = { sandboxId: 'i1', generation: 'g2', isCopy: true, timestamp: new Date().toISOString() };
const hooks = '/etc/soulbox/resumed.d';

beforeEach(async () => {
  await sh(
    `rm -rf ${hooks} /tmp/told /run/soulbox/generation; mkdir -p ${hooks}; chown root ${hooks}; chmod 755 ${hooks}`,
  );
});

async function sh(line: string): Promise<string> {
  return (await runShell(createClients(envd().baseUrl).process, line, asUser('root'))).stdout;
}

/** Creates a hook with this script that only root may change. */
async function hook(name: string, script: string): Promise<void> {
  await sh(`printf '#!/bin/sh\n%s\n' '${script}' >${hooks}/${name}; chmod 755 ${hooks}/${name}`);
}

async function postResumed(body: string, token = envd().hostToken, path = '/resumed'): Promise<number> {
  const headers = { 'x-soulbox-host-token': token };
  return (await fetch(`${envd().baseUrl}${path}`, { method: 'POST', headers, body })).status;
}

interface LogEntry {
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The log entries about hooks, by the hook's name. The latest entry is kept. */
async function hookLog(): Promise<Record<string, LogEntry>> {
  const headers = { 'x-soulbox-host-token': envd().hostToken };
  const response = await fetch(`${envd().baseUrl}/soulbox/logs?after=0`, { headers });
  const { entries } = (await response.json()) as { entries: LogEntry[] };
  const named = entries.filter(({ message }) => message.startsWith('Hook'));
  return Object.fromEntries(named.map((entry) => [entry.fields['path']?.split('/').at(-1) ?? '', entry]));
}

describe('POST /resumed', () => {
  test('requires the host token', async () => {
    for (const token of ['', 'wrong', `${envd().hostToken}x`]) {
      expect(await postResumed(JSON.stringify(copy), token)).toBe(401);
    }
    expect(await sh('ls /run/soulbox')).not.toContain('generation');
  });

  test.each([
    '',
    '[]',
    'null',
    '{',
    '{"sandboxId":"i1","generation":"g"}',
    '{"sandboxId":"i1","isCopy":true}',
    '{"generation":"g","isCopy":true}',
    '{"sandboxId":"i1","generation":"g","isCopy":"yes"}',
    '{"sandboxId":"i1","generation":"a b","isCopy":true}',
    '{"sandboxId":"../x","generation":"g","isCopy":true}',
    '{"sandboxId":"i1","generation":"g","isCopy":true,"envVars":{"A":1}}',
    '{"sandboxId":"i1","generation":"g","isCopy":true,"accessToken":1}',
  ])('%s is a bad request and changes nothing', async (body) => {
    await envd().init({ envVars: { KEPT: 'yes' } });
    await hook('10-tell', 'echo told >/tmp/told');
    expect(await postResumed(body)).toBe(400);
    expect(await sh('echo $KEPT; ls /tmp/told /run/soulbox/generation 2>/dev/null')).toBe('yes\n');
  });

  test('keeps the settings that it does not name', async () => {
    await envd().init({ envVars: { A: '1' }, defaultUser: 'root', defaultWorkdir: '/etc' });
    await envd().resumed({ ...copy, isCopy: false });
    const { process } = createClients(envd().baseUrl);
    expect((await runShell(process, 'echo $A; id -un; pwd')).stdout).toBe('1\nroot\n/etc\n');
  });

  test('replaces the settings that it names, including the files of variables', async () => {
    await envd().init({ envVars: { A: '1', E2B_SANDBOX_ID: 'source' }, defaultUser: 'root' });
    const envVars = { B: '2', E2B_SANDBOX_ID: 'copy' };
    await envd().resumed({ ...copy, envVars, accessToken: 'new', defaultUser: 'user', defaultWorkdir: '/tmp' });
    const stranger = createClients(envd().baseUrl).process;
    await expect(runShell(stranger, 'true')).rejects.toThrow(/unauthenticated/);
    const { process } = createClients(envd().baseUrl, undefined, { 'x-access-token': 'new' });
    const { stdout } = await runShell(process, 'echo $A$B; id -un; pwd; cat /run/e2b/.E2B_SANDBOX_ID');
    expect(stdout).toBe('2\nuser\n/tmp\ncopy');
  });

  test('writes only files of variables whose value changes', async () => {
    const facts = "stat -c '%i %y' /run/e2b/.E2B_TEAM_ID /run/e2b/.E2B_TEMPLATE_ID; cat /run/e2b/.E2B_SANDBOX_ID";
    await envd().init({ envVars: { E2B_TEAM_ID: 'team', E2B_TEMPLATE_ID: 'base', E2B_SANDBOX_ID: 'source' } });
    const before = await sh(facts);
    const envVars = { E2B_TEAM_ID: 'team', E2B_TEMPLATE_ID: 'base', E2B_SANDBOX_ID: 'longer-copy' };
    await envd().resumed({ ...copy, envVars });
    expect(await sh(facts)).toBe(before.replace(/source$/, 'longer-copy'));
  });

  test('removes variables and token on request', async () => {
    await envd().init({ envVars: { A: '1' }, accessToken: 'of-the-source' });
    await envd().resumed({ ...copy, envVars: {}, accessToken: '' });
    expect(await sh('echo $A')).toBe('\n');
  });
});

describe('the generation', () => {
  test('of a copy overwrites the old one in the same file, even if it is shorter', async () => {
    await sh('echo a-long-generation-of-the-source >/run/soulbox/generation');
    const before = await sh('stat -c %i /run/soulbox/generation');
    await envd().resumed(copy);
    expect(await sh('cat /run/soulbox/generation')).toBe('g2\n');
    expect(await sh('stat -c %i /run/soulbox/generation')).toBe(before);
  });

  test('of a copy is announced by SIGURG to Python and Node programs that handle it, and to no others', async () => {
    const wait = 'for i in $(seq 20); do sleep 0.1; done';
    const handler = (word: string): string => `bash -c 'trap "echo ${word}" URG; ${wait}'`;
    // The root of these tests has neither, so only the name counts.
    const named = (name: string): string => `(exec -a ${name} ${handler(name)})`;
    const line = [named('node'), named('python3.13'), named('top'), `(exec -a node bash -c '${wait}')`].join(' & ');
    const started = createClients(envd().baseUrl).process.start({
      process: { cmd: '/bin/bash', args: ['-c', `${line} & wait; echo unharmed`] },
    });
    const outcome = collect(started);
    await sleep(700);
    await envd().resumed({ ...copy, isCopy: false });
    await sleep(200);
    await envd().resumed(copy);
    expect((await outcome).stdout.trim().split('\n').toSorted()).toEqual(['node', 'python3.13', 'unharmed']);
  });

  test('of a resumed sandbox stays', async () => {
    await sh('echo g1 >/run/soulbox/generation');
    await envd().resumed({ ...copy, isCopy: false });
    expect(await sh('cat /run/soulbox/generation')).toBe('g1\n');
  });

  test.each([
    'mkdir /run/soulbox/generation',
    'mkfifo /run/soulbox/generation',
    'ln -s /etc/passwd /run/soulbox/generation',
  ])('causes an error if it cannot be written, after %s', async (line) => {
    await sh(line);
    expect(await postResumed(JSON.stringify(copy))).toBeGreaterThanOrEqual(400);
    expect(await sh('grep -c root: /etc/passwd')).toBe('1\n');
  });
});

describe('POST /rehearse-resumed', () => {
  const rehearse = async (body: string, token?: string): Promise<number> =>
    await postResumed(body, token, '/rehearse-resumed');

  test('requires the host token and a complete body', async () => {
    expect(await rehearse(JSON.stringify(copy), 'wrong')).toBe(401);
    expect(await rehearse('{}')).toBe(400);
  });

  test('changes nothing: no setting, no content of a file, no signal, no hook', async () => {
    await envd().init({ envVars: { KEPT: 'yes', E2B_SANDBOX_ID: 'source' } });
    await hook('10-tell', 'echo told >/tmp/told');
    await sh('echo source >/run/soulbox/generation');
    const facts =
      "echo $KEPT; cat /run/soulbox/generation /run/e2b/.E2B_SANDBOX_ID; stat -c '%s %y' /run/soulbox/generation /run/e2b/.E2B_SANDBOX_ID; ls /tmp/told 2>/dev/null";
    const before = await sh(facts);
    const script = `exec -a node bash -c 'trap "echo signal" URG; for i in $(seq 8); do sleep 0.1; done'`;
    const process = { cmd: '/bin/bash', args: ['-c', script] };
    const outcome = collect(createClients(envd().baseUrl).process.start({ process }));
    await sleep(300);
    expect(await rehearse(JSON.stringify({ ...copy, envVars: { KEPT: 'no' }, accessToken: 'new' }))).toBe(204);
    expect((await outcome).stdout).toBe('');
    expect(await sh(facts)).toBe(before);
  });

  test.each([
    'rm -f /run/soulbox/generation',
    'mkdir /run/soulbox/generation',
    'mkfifo /run/soulbox/generation',
    'ln -s /etc/passwd /run/soulbox/generation',
  ])('succeeds after %s: the real call deals with it', async (line) => {
    await sh(line);
    expect(await rehearse(JSON.stringify(copy))).toBe(204);
  });
});

describe('hooks', () => {
  test('run as root in the order of their names, and receive the details', async () => {
    await hook('20-second', 'echo second $SOULBOX_IS_COPY >>/tmp/told');
    await hook('10-first', 'id -un >>/tmp/told; echo $SOULBOX_SANDBOX_ID $SOULBOX_GENERATION >>/tmp/told');
    await envd().resumed(copy);
    expect(await sh('cat /tmp/told')).toBe('root\ni1 g2\nsecond 1\n');
    await envd().resumed({ ...copy, isCopy: false });
    expect(await sh('tail -n 1 /tmp/told')).toBe('second 0\n');
  });

  test('run after the new generation and the new settings are in place', async () => {
    await hook('10-look', 'cat /run/soulbox/generation /run/e2b/.E2B_TEAM_ID >/tmp/told');
    await envd().resumed({ ...copy, generation: 'g7', envVars: { E2B_TEAM_ID: 'x' } });
    expect(await sh('cat /tmp/told')).toBe('g7\nx');
  });

  test('that fail or print without end are logged, and the next ones run', async () => {
    await hook('10-fails', 'echo why >&2; exit 3');
    await hook('20-prints', 'head -c 10000000 /dev/zero | tr "\\0" x');
    await hook('30-last', 'echo told >/tmp/told');
    await envd().resumed(copy);
    expect(await sh('cat /tmp/told')).toBe('told\n');
    const log = await hookLog();
    expect(log['10-fails']?.fields).toMatchObject({ status: 'exit 3', output: 'why' });
    expect(log['20-prints']?.fields['output']).toBe('x'.repeat(512));
  });

  test('that hang are killed with everything they started, and take at most five seconds together', async () => {
    for (const name of ['1-hangs', '2-hangs', '3-hangs', '4-late']) await hook(name, 'sleep 1234 & sleep 1234');
    const begin = performance.now();
    await envd().resumed(copy);
    expect(performance.now() - begin).toBeLessThan(8000);
    expect(await sh('pgrep -c -f "sleep [1]234"')).toBe('0\n');
    const log = await hookLog();
    expect(log['1-hangs']?.fields['status']).toMatch(/too long/);
    expect(log['4-late']?.message).toMatch(/skipped/);
  }, 20_000);

  test('that start a daemon do not wait for it', async () => {
    await hook('10-daemon', 'echo begun; setsid sleep 9 &');
    const begin = performance.now();
    await envd().resumed(copy);
    expect(performance.now() - begin).toBeLessThan(1500);
    expect((await hookLog())['10-daemon']?.fields).toMatchObject({ status: 'exit 0', output: 'begun' });
  });

  test.each([
    ['is not executable', 'chmod 644'],
    ['belongs to a user', 'chown user'],
    ['can be written by all', 'chmod 777'],
  ])('one that %s is skipped', async (_name, command) => {
    await hook('10-bad', 'echo told >/tmp/told');
    await sh(`${command} ${hooks}/10-bad`);
    await envd().resumed(copy);
    expect(await sh('ls /tmp/told 2>/dev/null')).toBe('');
    expect((await hookLog())['10-bad']?.message).toMatch(/skipped/);
  });

  test('links and backup files of editors are skipped', async () => {
    await hook('10-told', 'echo told >>/tmp/told');
    await sh(`cd ${hooks}; ln -s 10-told 20-link; cp 10-told 10-told~; cp 10-told .hidden; mkdir 30-folder`);
    await envd().resumed(copy);
    expect(await sh('cat /tmp/told')).toBe('told\n');
  });

  test('do not run from a folder that a user may write, and a missing folder is not an error', async () => {
    await hook('10-told', 'echo told >/tmp/told');
    await sh(`chown user ${hooks}`);
    await envd().resumed(copy);
    await sh(`rm -r ${hooks}`);
    await envd().resumed(copy);
    expect(await sh('ls /tmp/told 2>/dev/null')).toBe('');
  });

  test('two simultaneous calls run one after the other', async () => {
    await hook('10-turn', 'echo begin >>/tmp/told; sleep 0.2; echo end >>/tmp/told');
    await Promise.all([envd().resumed(copy), envd().resumed(copy)]);
    expect(await sh('cat /tmp/told')).toBe('begin\nend\nbegin\nend\n');
  });
});

test('the token of the source does not open a copy', async () => {
  const old = envd().hostToken;
  await sh('echo of-the-copy >/run/soulbox/host-token');
  expect(await postResumed(JSON.stringify(copy), old)).toBe(401);
  expect(await postResumed(JSON.stringify(copy), 'of-the-copy')).toBe(204);
  await sh(`rm /run/soulbox/host-token; mkfifo /run/soulbox/host-token`);
  expect(await postResumed(JSON.stringify(copy), old)).toBe(401);
  expect(await postResumed(JSON.stringify(copy), 'of-the-copy')).toBe(204);
  await sh(`rm /run/soulbox/host-token; printf %s ${old} >/run/soulbox/host-token`);
});

test('a process continues through it, and clients can connect to it', async () => {
  const { process } = createClients(envd().baseUrl);
  const tag = 'kept';
  const started = process.start({ process: { cmd: '/bin/cat' }, tag, stdin: true })[Symbol.asyncIterator]();
  await started.next();
  await envd().resumed(copy);
  const selector = { selector: { case: 'tag' as const, value: tag } };
  const outcome = collect(process.connect({ process: selector }));
  await process.sendInput({ process: selector, input: { input: { case: 'stdin', value: Buffer.from('hello') } } });
  await process.closeStdin({ process: selector });
  expect((await outcome).end).toMatchObject({ exitCode: 0 });
  await started.return?.();
});

test('envd can be inspected again after it acted as another user', async () => {
  await runShell(createClients(envd().baseUrl).process, 'true', asUser('user'));
  // Without CAP_SYS_PTRACE, the kernel allows root this for dumpable processes only. CRIU needs the same for init.
  expect(await sh('head -c 1 /proc/1/environ | wc -c')).toBe('1\n');
});
