/** @module-tag long */
import { expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Workload } from './workload.ts';
import { answers, background, expectSurvival, isLast, sh } from './workload.ts';

const workloads: Readonly<Record<string, Workload>> = {
  'a Python server under load from inside': {
    start: async (sandbox) => {
      await background(sandbox, 'cd /tmp && python3 -m http.server 8000 >/dev/null 2>&1');
      await answers(sandbox, 'curl -s http://127.0.0.1:8000/', /Directory listing/);
      const client = `
import http.client
connection = http.client.HTTPConnection('127.0.0.1', 8000); done = 0
while True:
    connection.request('GET', '/'); connection.getresponse().read(); done += 1
    open('/tmp/done', 'w').write(str(done))`;
      await sandbox.files.write('client.py', client);
      await background(sandbox, 'python3 client.py');
      await answers(sandbox, 'cat /tmp/done', /^\d+$/);
    },
    check: async (sandbox) => {
      const before = Number(await sh(sandbox, 'sleep 0.2; cat /tmp/done || echo 0'));
      await until('more requests', async () => Number(await sh(sandbox, 'cat /tmp/done || echo 0')) > before);
    },
  },
  'Node with worker threads': {
    start: async (sandbox) => {
      const program = `
const { Worker } = require('worker_threads');
const counts = [0, 0, 0];
const work = "const { parentPort } = require('worker_threads'); setInterval(() => parentPort.postMessage(1), 10)";
counts.forEach((_, index) => new Worker(work, { eval: true }).on('message', () => counts[index]++));
require('http').createServer((_, answer) => answer.end(counts.join(' '))).listen(8001);`;
      await sandbox.files.write('workers.js', program);
      await background(sandbox, 'node workers.js');
      await answers(sandbox, 'curl -s http://127.0.0.1:8001/', /^[1-9]\d* [1-9]\d* [1-9]\d*$/);
    },
    check: async (sandbox) => {
      const read = async (): Promise<number[]> =>
        (await sh(sandbox, 'curl -s http://127.0.0.1:8001/')).split(' ').map(Number);
      const before = await read();
      expect(before).toHaveLength(3);
      await until('all count on', async () => (await read()).every((count, index) => count > (before[index] ?? 0)));
    },
  },
  'SQLite in WAL mode in a transaction': {
    start: async (sandbox) => {
      const program = `
import os, sqlite3, time
db = sqlite3.connect('/home/user/data.db', isolation_level=None)
db.execute('pragma journal_mode = wal'); db.execute('create table t(x)'); db.execute('insert into t values (1)')
db.execute('begin immediate'); db.execute('insert into t values (2)')
open('/tmp/open', 'w').close()
while not os.path.exists('/tmp/commit'): time.sleep(0.02)
db.execute('commit'); print(db.execute('select count(*) from t').fetchone()[0], flush=True)
open('/tmp/committed', 'w').write(str(db.execute('select count(*) from t').fetchone()[0]))`;
      await sandbox.files.write('transaction.py', program);
      await background(sandbox, 'python3 transaction.py');
      await answers(sandbox, 'ls /tmp/open', /open/);
    },
    check: async (sandbox) => {
      const count =
        "python3 -c \"import sqlite3; print(sqlite3.connect('/home/user/data.db').execute('select count(*) from t').fetchone()[0])\"";
      if ((await sh(sandbox, 'ls /tmp/committed 2>/dev/null || true')) === '') {
        expect(await sh(sandbox, count)).toBe('1');
        if (await isLast(sandbox)) await sh(sandbox, 'touch /tmp/commit');
        else return;
      }
      await answers(sandbox, 'cat /tmp/committed', /^2$/);
      expect(await sh(sandbox, count)).toBe('2');
    },
  },
  'a shell on a terminal with a running top': {
    start: async (sandbox) => {
      const terminal = await sandbox.pty.create({ cols: 100, rows: 30, onData: () => undefined, timeoutMs: 0 });
      terminal.wait().catch(() => undefined);
      await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode('top -d 0.2\n'));
      await answers(sandbox, 'pgrep -x top', /\d/);
      await sandbox.files.write('/tmp/terminal', String(terminal.pid));
      await terminal.disconnect();
    },
    check: async (sandbox) => {
      const pid = Number(await sh(sandbox, 'cat /tmp/terminal'));
      let seen = '';
      const onData = (data: Uint8Array): void => {
        seen += Buffer.from(data).toString();
      };
      const terminal = await sandbox.pty.connect(pid, { onData, timeoutMs: 0 });
      terminal.wait().catch(() => undefined);
      await until('what it draws next', () => seen.length > 200);
      await terminal.disconnect();
    },
  },
  'a git clone in progress': {
    start: async (sandbox) => {
      await sh(
        sandbox,
        [
          'git init -q --bare /home/user/origin.git && git init -q /home/user/work && cd /home/user/work',
          'git config user.email a@b && git config user.name a',
          'for i in $(seq 400); do head -c 20000 /dev/urandom | base64 > f$i; done; git add . && git commit -qm x && git push -q /home/user/origin.git HEAD:main',
          'git -C /home/user/origin.git symbolic-ref HEAD refs/heads/main',
        ].join(' && '),
      );
      await background(
        sandbox,
        'git clone -q --no-local file:///home/user/origin.git /home/user/clone; echo $? > /tmp/cloned',
      );
      await answers(sandbox, 'ls -d /home/user/clone', /clone/);
    },
    check: async (sandbox) => {
      await answers(sandbox, 'cat /tmp/cloned', /^0$/);
      expect(await sh(sandbox, 'cd /home/user/clone && git fsck 2>&1 | grep -c error || true; ls | wc -l')).toBe(
        '0\n400',
      );
    },
  },
};

test.each(Object.entries(workloads))(
  '%s survives pause, resume and fork',
  { timeout: 180_000 },
  async (_, workload) => {
    await expectSurvival(workload);
  },
);
