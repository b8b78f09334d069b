// What a user of the `e2b` package does, with the version whose module is the first argument.
import { Absent, check, method, runSteps, until } from './steps.mjs';

const client = await import(process.argv[2]);
const { Sandbox } = client;
const metadata = { client: `clients-${process.pid}-${Date.now()}` };
const made = [];

/** Lists were arrays once, and are pages now. */
async function listAll(found) {
  if (typeof found?.nextItems !== 'function') return await found;
  const items = [];
  while (found.hasNext) items.push(...(await found.nextItems()));
  return items;
}
/** A create that the server must refuse because of its isolation; a version that does not pass it on gets a sandbox. */
async function refused(options) {
  const answer = await Sandbox.create({ ...options, timeoutMs: 60_000 }).catch((error) => error);
  if (answer instanceof Sandbox) {
    made.push(answer);
    throw new Absent('passing it on');
  }
  check('refusal', /container or gvisor/.test(answer.message));
}
const run = async (sandbox, command) => (await sandbox.commands.run(command)).stdout;

const steps = {
  async create(state) {
    state.sandbox = await Sandbox.create({ metadata, envs: { GREETING: 'hello' }, timeoutMs: 120_000 });
    made.push(state.sandbox);
  },
  async run({ sandbox }) {
    const { stdout, stderr, exitCode } = await sandbox.commands.run('echo "$GREETING"; echo err >&2; id -un >&2');
    check('output', [stdout, stderr, exitCode], ['hello\n', 'err\nuser\n', 0]);
    const failed = await sandbox.commands.run('exit 3').catch((error) => error);
    check('failure', [failed.name, failed.exitCode], ['CommandExitError', 3]);
  },
  async stream({ sandbox }) {
    let seen = '';
    let atFirst;
    await sandbox.commands.run('echo one; sleep 0.3; echo two', {
      onStdout: (text) => {
        atFirst ??= text;
        seen += text;
      },
    });
    check('parts', [atFirst, seen], ['one\n', 'one\ntwo\n']);
  },
  async background({ sandbox }) {
    const handle = await sandbox.commands.run('cat', { background: true, stdin: true });
    await sandbox.commands.sendStdin(handle.pid, 'typed');
    await until('what was typed', () => handle.stdout === 'typed');
    check(
      'listed',
      (await sandbox.commands.list()).some(({ pid }) => pid === handle.pid),
    );
    check('killed', await handle.kill());
    await handle.wait().catch(() => undefined);
  },
  async files({ sandbox }) {
    const { files } = sandbox;
    const text = 'zwölf Boxkämpfer\n';
    await files.write('folder/a.txt', text);
    check('text', await files.read('/home/user/folder/a.txt'), text);
    check('bytes', Buffer.from(await files.read('folder/a.txt', { format: 'bytes' })).toString(), text);
    check(
      'entries',
      (await files.list('folder')).map(({ name }) => name),
      ['a.txt'],
    );
    check('new folder', await files.makeDir('new'));
    await files.rename('folder/a.txt', 'new/b.txt');
    check('old name', await files.exists('folder/a.txt'), false);
    await files.remove('new');
    check('removed', await files.exists('new'), false);
    const missing = await files.read('nowhere').catch((error) => error.name);
    check('missing', /NotFoundError$/.test(missing));
  },
  async watch({ sandbox }) {
    const events = [];
    const handle = await sandbox.files.watchDir('/tmp', (event) => events.push(event));
    await sandbox.files.write('/tmp/watched.txt', 'x');
    await until('an event', () => events.some(({ name, type }) => name === 'watched.txt' && type === 'create'));
    await method(handle, 'stop', 'close')();
  },
  async urls({ sandbox }) {
    await sandbox.files.write('url.txt', 'by its URL');
    const download = await sandbox.downloadUrl('url.txt');
    check('download', await (await fetch(download)).text(), 'by its URL');
    const form = new FormData();
    form.append('file', new Blob(['uploaded']), 'up.txt');
    const upload = await fetch(await sandbox.uploadUrl('up.txt'), { method: 'POST', body: form });
    check('upload', upload.status, 200);
    check('uploaded', await sandbox.files.read('up.txt'), 'uploaded');
  },
  async pty({ sandbox }) {
    let seen = '';
    const decoder = new TextDecoder();
    const onData = (data) => (seen += decoder.decode(data));
    const { pid } = await method(sandbox.pty, 'create')({ cols: 80, rows: 24, onData });
    await sandbox.pty.sendInput(pid, new TextEncoder().encode('stty size; echo $((6*7))\n'));
    await until('the answer', () => seen.includes('24 80') && seen.includes('42'));
    await sandbox.pty.resize(pid, { cols: 100, rows: 30 });
    await sandbox.pty.kill(pid);
  },
  async port({ sandbox }) {
    await sandbox.commands.run('python3 -m http.server 8000', { background: true, timeoutMs: 0 });
    const url = `https://${sandbox.getHost(8000)}/`;
    await until('an answer', async () => (await fetch(url)).status === 200);
  },
  async timeout({ sandbox }) {
    await sandbox.setTimeout(60_000);
    await Sandbox.setTimeout(sandbox.sandboxId, 90_000);
  },
  async info({ sandbox }) {
    const info = await method(Sandbox, 'getInfo')(sandbox.sandboxId);
    check('id', info.sandboxId.split('-')[0], sandbox.sandboxId.split('-')[0]);
    check('metadata', info.metadata, metadata);
    if (info.endAt !== undefined) check('end', Math.abs(info.endAt - Date.now() - 90_000) < 20_000);
  },
  async defaults() {
    const plain = await Sandbox.create();
    made.push(plain);
    const { startedAt, endAt } = await method(Sandbox, 'getInfo')(plain.sandboxId);
    if (endAt !== undefined) check('life', endAt - startedAt, 300_000);
  },
  async list({ sandbox }) {
    const listed = await listAll(Sandbox.list({ query: { metadata } }));
    const own = listed.filter(({ sandboxId }) => sandbox.sandboxId.startsWith(sandboxId.split('-')[0]));
    check(
      'listed',
      own.map((each) => each.metadata),
      [metadata],
    );
  },
  async connect({ sandbox }) {
    const again = await Sandbox.connect(sandbox.sandboxId);
    check('variables', await run(again, 'echo "$GREETING"'), 'hello\n');
    check('running', await again.isRunning());
  },
  async metrics({ sandbox }) {
    check('a list', Array.isArray(await method(sandbox, 'getMetrics')()));
  },
  async git({ sandbox }) {
    await method(sandbox.git, 'init')('/home/user/repository');
    check('clean', (await sandbox.git.status('/home/user/repository')).isClean);
  },
  async pause({ sandbox }) {
    const pause = method(sandbox, 'pause', 'betaPause');
    const { pid } = await sandbox.commands.run('sleep 4242', { background: true, timeoutMs: 0 });
    // Some versions of the beta gave the id.
    check('paused', Boolean(await pause()));
    check('state', (await Sandbox.getInfo(sandbox.sandboxId)).state, 'paused');
    const listed = await listAll(Sandbox.list({ query: { metadata, state: ['paused'] } }));
    check(
      'list of paused ones',
      listed.map(({ sandboxId }) => sandboxId),
      [sandbox.sandboxId],
    );
    const resumed = await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 120_000 });
    check('same process', await run(resumed, 'pgrep -fx "sleep 4242"'), `${pid}\n`);
  },
  async snapshot({ sandbox }) {
    const { snapshotId } = await method(sandbox, 'createSnapshot')();
    const copy = await Sandbox.create(snapshotId, { timeoutMs: 60_000 });
    made.push(copy);
    check('process in the copy', /^\d+\n$/.test(await run(copy, 'pgrep -fx "sleep 4242"')));
    check('deleted', await Sandbox.deleteSnapshot(snapshotId));
  },
  async fork({ sandbox }) {
    const [copy] = await method(sandbox, 'fork')({ timeoutMs: 60_000 });
    if (copy instanceof Error) throw copy;
    made.push(copy);
    check('process in the copy', /^\d+\n$/.test(await run(copy, 'pgrep -fx "sleep 4242"')));
  },
  async network({ sandbox }) {
    await method(sandbox, 'updateNetwork')({ denyOut: ['203.0.113.0/24'] });
  },
  // A wall that there is not is refused where it arrives, and costs no sandbox.
  async 'isolation-metadata'() {
    await refused({ metadata: { 'soulbox.isolation': 'paper' } });
  },
  async 'isolation-header'() {
    await refused({ headers: { 'X-Soulbox-Isolation': 'paper' } });
  },
  async volumes() {
    await method(client.Volume, 'list')();
  },
  async secrets() {
    await listAll(method(client.Secret, 'list')());
  },
  async kill({ sandbox }) {
    // The method of a sandbox gave nothing once.
    check('killed', (await sandbox.kill()) !== false);
    check('running', await sandbox.isRunning(), false);
    const after = await sandbox.commands.run('true').then(
      () => 'ran',
      (error) => error.name,
    );
    check('afterwards', after !== 'ran');
  },
};
if (Sandbox === undefined) throw new Absent('Sandbox');
await runSteps(steps, async () => {
  for (const each of made) await each.kill().catch(() => undefined);
});
