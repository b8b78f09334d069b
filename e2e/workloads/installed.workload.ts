import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Sandbox } from 'e2b';
import { until } from '../harness/until.ts';
import type { Workload } from './workload.ts';
import { answers, background, expectSurvival, isLast, sh } from './workload.ts';

// Programs that must first be installed from Debian and npm: `npm run workloads`. Too slow for every run.

const installMs = 400_000;

async function install(sandbox: Sandbox, ...packages: string[]): Promise<void> {
  const apt = `apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${packages.join(' ')}`;
  await sandbox.commands.run(`(${apt}) >/tmp/apt.log 2>&1`, { user: 'root', timeoutMs: installMs });
}

async function installFromNpm(sandbox: Sandbox, name: string): Promise<void> {
  // If a proxy on the way out has its own CA, the host's bundle contains it, but the sandbox does not know it.
  await sandbox.files.write('authorities.pem', await readFile('/etc/ssl/certs/ca-certificates.crt', 'utf8'));
  await sh(sandbox, `npm install --no-update-notifier --cafile=authorities.pem ${name} 2>&1`, installMs);
}

/** Sends keys to the terminal that the workload opened. */
async function type(sandbox: Sandbox, keys: string): Promise<void> {
  const pid = Number(await sandbox.files.read('/tmp/terminal'));
  await sandbox.pty.sendInput(pid, new TextEncoder().encode(keys));
}

const asPostgres = async (sandbox: Sandbox, command: string): Promise<string> =>
  await sh(sandbox, `cd / && sudo -u postgres ${command}`);

/** The number of them, and how many came over TCP. */
const openTransactions =
  "select count(*) || ' ' || count(client_addr) from pg_stat_activity where state = 'idle in transaction'";

/** A server in JavaScript that counts in memory and with a timer. */
const countingServer = `
let ticks = 0; setInterval(() => ticks++, 50);
const { createServer } = require('node:http');
createServer((_, answer) => answer.end('ticks ' + ticks)).listen(8100);`;

const countsOn = async (sandbox: Sandbox): Promise<void> => {
  const read = async (): Promise<number> => Number((await sh(sandbox, 'curl -s http://127.0.0.1:8100/')).split(' ')[1]);
  const before = await read();
  expect(before).toBeGreaterThan(0);
  await sh(sandbox, 'sleep 0.5');
  expect(await read()).toBeGreaterThan(before);
};

const workloads: Readonly<Record<string, Workload>> = {
  'PostgreSQL with open transactions': {
    start: async (sandbox) => {
      await install(sandbox, 'postgresql', 'postgresql-client');
      await sandbox.commands.run('service postgresql start', { user: 'root' });
      await asPostgres(
        sandbox,
        'psql -qc "create table t(x int); insert into t values (1); alter user postgres password \'walrus\'"',
      );
      const session = `{ echo "begin; insert into t values (2);"; until [ -e /tmp/commit ]; do sleep 0.1; done; echo 'commit;'; } | psql -q "$1"`;
      await sandbox.files.write('/tmp/session.sh', session);
      for (const way of ['dbname=postgres', 'host=127.0.0.1 password=walrus'])
        await background(sandbox, `sudo -u postgres bash /tmp/session.sh '${way}'`);
      await answers(sandbox, `sudo -u postgres psql -Atc "${openTransactions}"`, /^2 1$/);
    },
    check: async (sandbox) => {
      const count = 'psql -Atc "select count(*) from t"';
      expect(await asPostgres(sandbox, `psql -Atc "${openTransactions}"`)).toBe('2 1');
      expect(await asPostgres(sandbox, count)).toBe('1');
      if (!(await isLast(sandbox))) return;
      await sh(sandbox, 'touch /tmp/commit');
      await answers(sandbox, `sudo -u postgres ${count}`, /^3$/);
    },
  },
  Redis: {
    start: async (sandbox) => {
      await install(sandbox, 'redis-server');
      await background(sandbox, 'redis-server --save "" --port 6390 >/dev/null 2>&1');
      await answers(sandbox, 'redis-cli -p 6390 set word walrus', /OK/);
    },
    check: async (sandbox) => {
      expect(await sh(sandbox, 'redis-cli -p 6390 get word')).toBe('walrus');
      expect(await sh(sandbox, 'redis-cli -p 6390 incr n')).toMatch(/^\d+$/);
    },
  },
  'an ipykernel with variables': {
    start: async (sandbox) => {
      await install(sandbox, 'python3-ipykernel', 'python3-jupyter-client');
      await background(sandbox, 'python3 -m ipykernel_launcher -f /tmp/kernel.json >/dev/null 2>&1');
      await answers(sandbox, 'ls /tmp/kernel.json', /kernel/);
      expect(await sh(sandbox, execute('x = 41'))).toBe('ok');
    },
    check: async (sandbox) => {
      expect(await sh(sandbox, execute('x += 1; assert x >= 42'))).toBe('ok');
    },
  },
  'vim with something unwritten': {
    start: async (sandbox) => {
      await install(sandbox, 'vim');
      const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => undefined, timeoutMs: 0 });
      terminal.wait().catch(() => undefined);
      await sandbox.files.write('/tmp/terminal', String(terminal.pid));
      await type(sandbox, 'vim walrus.txt\n');
      await answers(sandbox, 'pgrep -x vim', /\d/);
      await type(sandbox, 'iThe time has come, the walrus said\x1b');
      await answers(sandbox, 'ls -A', /\.walrus\.txt\.swp/);
    },
    check: async (sandbox) => {
      const lines = Number(await sh(sandbox, 'cat walrus.txt 2>/dev/null | wc -l'));
      await type(sandbox, 'Goto talk of many things\x1b:w\n');
      await answers(sandbox, 'head -1 walrus.txt', /^The time has come, the walrus said$/);
      await until('another line', async () => Number(await sh(sandbox, 'wc -l < walrus.txt')) > lines);
    },
  },
  'a Java program': {
    start: async (sandbox) => {
      await install(sandbox, 'default-jdk-headless');
      const program = `
import com.sun.net.httpserver.*; import java.net.*; import java.util.concurrent.atomic.*;
public class Count { public static void main(String[] a) throws Exception {
  AtomicLong ticks = new AtomicLong();
  new Thread(() -> { try { while (true) { Thread.sleep(50); ticks.incrementAndGet(); } } catch (InterruptedException e) {} }).start();
  HttpServer s = HttpServer.create(new InetSocketAddress("127.0.0.1", 8100), 0);
  s.createContext("/", x -> { byte[] b = ("ticks " + ticks.get()).getBytes(); x.sendResponseHeaders(200, b.length); x.getResponseBody().write(b); x.close(); });
  s.start(); } }`;
      await sandbox.files.write('Count.java', program);
      await background(sandbox, 'java -Xmx128m Count.java >/dev/null 2>&1');
      await answers(sandbox, 'curl -s http://127.0.0.1:8100/', /ticks [1-9]/);
    },
    check: countsOn,
  },
  'a Bun program': {
    start: async (sandbox) => {
      await installFromNpm(sandbox, 'bun');
      await sandbox.files.write('count.cjs', countingServer);
      await background(sandbox, 'npx bun count.cjs >/dev/null 2>&1');
      await answers(sandbox, 'curl -s http://127.0.0.1:8100/', /ticks [1-9]/);
    },
    check: countsOn,
  },
  'a Deno program': {
    start: async (sandbox) => {
      await installFromNpm(sandbox, 'deno');
      await sandbox.files.write('count.cjs', countingServer);
      await background(sandbox, 'npx deno run --allow-all count.cjs >/dev/null 2>&1');
      await answers(sandbox, 'curl -s http://127.0.0.1:8100/', /ticks [1-9]/);
    },
    check: countsOn,
  },
  'headless Chromium with a page': {
    start: async (sandbox) => {
      await install(sandbox, 'chromium');
      const page = 'data:text/html,<title>0</title><script>let n=0;setInterval(()=>document.title=++n,50)</script>';
      await background(
        sandbox,
        `chromium --headless --no-sandbox --disable-gpu --remote-debugging-port=9222 '${page}' >/dev/null 2>&1`,
      );
      await answers(sandbox, 'curl -s http://127.0.0.1:9222/json', /"title": "[1-9]/);
    },
    check: async (sandbox) => {
      const read = async (): Promise<number> => {
        const [, title = '0'] = /"title": "(\d+)/.exec(await sh(sandbox, 'curl -s http://127.0.0.1:9222/json')) ?? [];
        return Number(title);
      };
      const before = await read();
      await sh(sandbox, 'sleep 0.5');
      expect(await read()).toBeGreaterThan(before);
    },
  },
};

/** A command that makes the kernel run code and prints the status of its reply. */
function execute(code: string): string {
  return `python3 -c "
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file='/tmp/kernel.json'); client.load_connection_file(); client.start_channels()
client.wait_for_ready(timeout=20)
print(client.execute_interactive('${code}', timeout=20, output_hook=lambda _: None)['content']['status'])"`;
}

test.each(Object.entries(workloads))(
  '%s survives pause, resume and fork',
  { timeout: 900_000 },
  async (_, workload) => {
    await expectSurvival(workload);
  },
);
