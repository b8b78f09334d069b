import { setTimeout as sleep } from 'node:timers/promises';

import { Signal } from '@soulbox/contract/process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asUser, collect, createClients, runShell } from '../testing/clients.ts';
import type { Outcome } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;
let process: ReturnType<typeof createClients>['process'];

beforeAll(async () => {
  envd = await startEnvd(await findTestRoot(), 'ENVD_OWN_KERNEL=1', 'SOULBOX_ENVD_FORWARD_PORT=0');
  process = createClients(envd.baseUrl).process;
  // Distinguishes several envds of one network namespace.
  await envd.init({ envVars: { SOULBOX_ENVD_PORT: String(envd.port) } });
  const accounts = 'useradd -m -s /bin/bash other && useradd -m stranger && chmod 700 /home/user';
  // Removed so that no test can pass by the image's own sudo, which works on this kernel.
  expect((await runShell(process, `${accounts} && rm /usr/bin/sudo`, asUser('root'))).end?.exitCode).toBe(0);
});

afterAll(async () => {
  await envd[Symbol.asyncDispose]();
});

const stdout = async (line: string): Promise<string> => (await runShell(process, line)).stdout;

describe('the behavior of sudo', () => {
  test('it is the sudo of envd, linked if the image has one', async () => {
    expect(await stdout('command -v sudo; readlink $(command -v sudo)')).toBe('/usr/local/bin/sudo\n/.soulbox/sudo\n');
  });

  test('a command runs as root, in the same folder', async () => {
    expect(await stdout('cd /tmp; sudo -n id -u; sudo pwd; sudo sh -c "id -un; id -gn; id -G"')).toBe(
      '0\n/tmp\nroot\nroot\n0\n',
    );
  });

  test.each([
    ['sudo true', 0],
    ['sudo sh -c "exit 7"', 7],
    ['sudo sh -c "kill -TERM \\$\\$"', 143],
    ['sudo -u nobody-there true', 1],
    ['sudo no-such-command', 1],
    ['sudo -n true', 0],
    ['sudo -v', 0],
    ['sudo', 1],
    ['sudo --no-such-option true', 1],
  ])('%s ends with %i', async (line, code) => {
    expect((await stdout(`${line}; echo $?`)).trim()).toBe(String(code));
  });

  test('errors are reported', async () => {
    const { stderr } = await runShell(process, 'sudo no-such-command; sudo -u nobody-there true; sudo --odd true');
    expect(stderr).toBe(
      "sudo: no-such-command: command not found\nsudo: unknown user nobody-there\nsudo: option '--odd' does not work in this sandbox\n",
    );
  });

  test('input, output and errors are those of the caller, both files and pipes', async () => {
    expect(await stdout('echo x | sudo tee /f; sudo cat < /f')).toBe('x\nx\n');
    expect(await stdout('(echo a; sudo echo b; echo c) > ~/log; cat ~/log')).toBe('a\nb\nc\n');
    expect(await stdout('sudo sh -c "echo out; echo err >&2" 2>&1 > /dev/null')).toBe('err\n');
    expect(await stdout('head -c 20000000 /dev/zero | sudo cat | sudo sh -c "wc -c"')).toBe('20000000\n');
  });

  test('another user is selected by name or number, with its groups and home', async () => {
    expect(await stdout('sudo -u other sh -c "id -un; echo \\$HOME \\$USER; pwd"')).toBe(
      'other\n/home/other other\n/\n',
    );
    expect(await stdout('sudo -u "#0" id -un; cd /tmp; sudo --user=other pwd; sudo -uother id -un')).toBe(
      'root\n/tmp\nother\n',
    );
  });

  test('the environment is reset, kept or set as in sudo', async () => {
    const show = 'sh -c "echo [\\$FOO] [\\$LANG] [\\$HOME] [\\$SUDO_USER] [\\$BASH_ENV] [\\$PATH]"';
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const given = 'export FOO=x LANG=C.UTF-8 BASH_ENV=/tmp/x PATH=/usr/local/bin:/home/user/bin:/bin';
    expect(await stdout(`${given}; sudo ${show}`)).toBe(`[] [C.UTF-8] [/root] [user] [] [${path}]\n`);
    expect(await stdout(`${given}; sudo -E ${show}`)).toBe(`[x] [C.UTF-8] [/home/user] [user] [] [${path}]\n`);
    expect(await stdout(`${given}; sudo --preserve-env=FOO ${show}`)).toBe(
      `[x] [C.UTF-8] [/root] [user] [] [${path}]\n`,
    );
    expect(await stdout(`sudo FOO=y LANG=z ${show}`)).toBe(`[y] [z] [/root] [user] [] [${path}]\n`);
  });

  test('login and other shells', async () => {
    expect(await stdout('sudo -i sh -c "pwd; echo \\$0"')).toBe('/root\n-bash\n');
    expect(await stdout('sudo -i shopt login_shell')).toContain('on\n');
    expect(await stdout('cd /tmp; sudo -s pwd')).toBe('/tmp\n');
    expect(await stdout(`sudo -i echo 'a b' '$HOME' "it's"`)).toBe("a b /root it's\n");
  });

  test('a listing shows the permissions', async () => {
    expect(await stdout('sudo -l')).toContain('(ALL : ALL) NOPASSWD: ALL');
  });

  test('a signal to sudo is passed on to its command', async () => {
    const line = `sudo sh -c 'trap "echo got; exit 3" TERM; echo ready; while :; do sleep 0.1; done' & child=$!
      sleep 1; kill -TERM $child; wait $child; echo $?`;
    expect(await stdout(line)).toBe('ready\ngot\n3\n');
  });

  test('a command ends, too, if its sudo is killed', async () => {
    const line = 'sudo sh -c "sleep 4321 & wait" & sleep 1; kill -KILL $!; sleep 0.3; pgrep -fx "sleep 4321"';
    expect(await stdout(line)).toBe('');
  });

  test('background processes of a command continue', async () => {
    const count = 'pgrep -fxc "sleep 1234"';
    const line = `sudo sh -c "sleep 1234 > /dev/null 2>&1 & echo started"; sleep 0.5; ${count}; sudo pkill -fx "sleep 1234"`;
    expect(await stdout(line)).toBe('started\n1\n');
  });

  test('nested sudo, many at once, and long arguments', async () => {
    const env = 'sudo SOULBOX_ENVD_PORT=$SOULBOX_ENVD_PORT';
    expect(await stdout(`${env} -u user ${env} id -u; ${env} sudo id -u`)).toBe('0\n0\n');
    expect(await stdout('for i in $(seq 20); do sudo echo $i & done | sort -n | tail -1; wait')).toBe('20\n');
    expect(await stdout(`sudo printf %s "$(head -c 120000 /dev/zero | tr '\\0' x)" | wc -c`)).toBe('120000\n');
  });
});

/** Starts a line, on a terminal of an unusual size or without one. Returns its pid and its future outcome. */
async function start(line: string, onTerminal: boolean): Promise<{ pid: number; outcome: Promise<Outcome> }> {
  const pty = onTerminal ? { size: { cols: 91, rows: 33 } } : undefined;
  const command = { cmd: '/bin/bash', args: ['-c', line] };
  const request = process.start(pty === undefined ? { process: command, stdin: false } : { process: command, pty });
  const stream = request[Symbol.asyncIterator]();
  const first = await stream.next();
  const event = first.done === true ? undefined : first.value.event?.event;
  const outcome = collect({ [Symbol.asyncIterator]: () => stream });
  return { pid: event?.case === 'start' ? event.value.pid : 0, outcome };
}

describe('on a terminal', () => {
  async function interact(line: string, ...inputs: readonly string[]): Promise<string> {
    const { pid, outcome } = await start(line, true);
    for (const text of inputs) {
      await sleep(1_000);
      const input = { input: { case: 'pty' as const, value: Buffer.from(text) } };
      await process.sendInput({ process: { selector: { case: 'pid', value: pid } }, input });
    }
    return (await outcome).pty.replaceAll('\r', '');
  }

  test('the command has a controlling terminal of the same size', async () => {
    const output = await interact('sudo sh -c "tty; stty size; echo hi > /dev/tty; id -u"');
    expect(output).toMatch(/^\/dev\/pts\/\d+\n33 91\nhi\n0\n$/);
  });

  test('a root shell receives typed input, and Ctrl-C ends its command', async () => {
    const output = await interact('sudo -i; echo back $?', 'sleep 999\n', '\x03', 'id -un\n', 'exit 5\n');
    expect(output).toContain('\nroot\n');
    expect(output).toMatch(/back 5\n$/);
  });

  test('Ctrl-C ends a command', async () => {
    expect(await interact('trap : INT; sudo sleep 999; echo ended $?', '\x03')).toMatch(/ended 130\n$/);
  });

  test('the terminal is restored afterwards', async () => {
    const line = 'stty -a > /tmp/before; sudo true; stty -a > /tmp/after; cmp /tmp/before /tmp/after && echo same';
    expect(await interact(line)).toBe('same\n');
  });

  test('a command in a pipeline uses the terminal for its other streams', async () => {
    expect(await interact('echo x | sudo tee /f2; sudo sh -c "tty; echo y" | cat')).toMatch(
      /^x\n\/dev\/pts\/\d+\ny\n$/,
    );
  });
});

describe('users without permission', () => {
  const refused = 'sudo: stranger may not run everything without a password here.\n';
  const asRoot = async (line: string): Promise<Outcome> => await runShell(process, line, asUser('root'));
  const asStranger = async (line: string): Promise<Outcome> => await runShell(process, line, asUser('stranger'));

  test.each(['sudo -n id', 'sudo -u other id', 'sudo -u stranger id', 'sudo -i', 'sudo -v', 'sudo -l'])(
    'a user without a rule is refused %s',
    async (line) => {
      const { stdout: out, stderr, end } = await asStranger(line);
      expect([out, end?.exitCode, stderr]).toEqual(['', 1, refused]);
    },
  );

  test('a rule is effective at once, and no longer after its removal', async () => {
    await asRoot('echo "stranger ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/stranger');
    expect((await asStranger('sudo id -u')).stdout).toBe('0\n');
    await asRoot('rm /etc/sudoers.d/stranger');
    expect((await asStranger('sudo id -u')).stderr).toBe(refused);
  });

  test('a user without a name has no permission', async () => {
    await asRoot('userdel stranger');
    await asRoot('useradd -m stranger');
    const { stdout: out } = await asRoot('setpriv --reuid 4242 --regid 4242 --clear-groups sudo id; echo $?');
    expect(out).toBe('1\n');
  });

  test('envd keeps no descriptor of served callers, and still answers', async () => {
    await stdout('for i in $(seq 5); do sudo true; done');
    const descriptors = async (): Promise<number> => Number(await stdout('sudo ls /proc/1/fd | wc -l'));
    const before = await descriptors();
    await stdout('for i in $(seq 10); do sudo true; sudo -k; sudo -v; done');
    await asStranger('sudo id');
    // The descriptors of a call that has just been served may still be closing, in either count.
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before);
    expect((await fetch(`${envd.baseUrl}/health`)).status).toBe(204);
  });
});

test('a signal through envd ends the command', async () => {
  const { pid, outcome } = await start('exec sudo sleep 888', false);
  await sleep(1_000);
  await process.sendSignal({ process: { selector: { case: 'pid', value: pid } }, signal: Signal.SIGTERM });
  expect((await outcome).end).toMatchObject({ status: 'signal: terminated' });
  expect(await stdout('pgrep -fxc "sleep 888"')).toBe('0\n');
});
