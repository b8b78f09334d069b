import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exceptionDaysMax, judgeAdvisories, parseExceptions } from './dependency-advisories.ts';
import type { AdvisoryException } from './dependency-advisories.ts';

const program = join(import.meta.dirname, 'audit-dependencies.ts');
const bulk = '/-/npm/v1/security/advisories/bulk';
const id = 'GHSA-aaaa-bbbb-cccc';
/** As the registry writes it (npm's documentation of the bulk endpoint). */
const advisory = (severity: string, ghsa = id) => ({
  ...{ id: 1_096_305, url: `https://github.com/advisories/${ghsa}`, title: 'Command injection', severity },
  ...{ vulnerable_versions: '<2.0.0', cwe: ['CWE-77'], cvss: { score: 7.2, vectorString: null } },
});
const digest = `sha512-${'A'.repeat(86)}==`;

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let folder: string;
let handler: Handler;
let asked: string[];
const server = createServer((request, response) => {
  asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
  void handler(request, response);
});
const json = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

beforeEach(async () => {
  asked = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'soulbox-advisories-'));
  const project = {
    name: 'shop',
    version: '1.0.0',
    dependencies: { cart: '1.2.3' },
    devDependencies: { lint: '1.0.0' },
  };
  const packages = {
    '': project,
    'node_modules/cart': { version: '1.2.3', resolved: 'https://registry.example/cart.tgz', integrity: digest },
    'node_modules/lint': {
      version: '1.0.0',
      resolved: 'https://registry.example/lint.tgz',
      integrity: digest,
      dev: true,
    },
  };
  await writeFile(join(folder, 'package.json'), JSON.stringify(project));
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ ...project, lockfileVersion: 3, packages }));
  await writeFile(join(folder, 'exceptions.json'), '[]');
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

const run = (...more: string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    const { port } = server.address() as AddressInfo;
    const args = [program, '--root', folder, '--exceptions', join(folder, 'exceptions.json'), ...more];
    const env = {
      ...{ PATH: process.env['PATH'], HOME: folder, npm_config_cache: join(folder, 'cache') },
      npm_config_registry: `http://127.0.0.1:${port}/`,
    };
    execFile(process.execPath, args, { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });

describe('the registry', () => {
  test('is asked for what is shipped, and not for what only developers use', async () => {
    let question: unknown;
    handler = async (request, response) => {
      const body = await buffer(request);
      question = JSON.parse((request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString());
      json(response, {});
    };
    const { code, stdout } = await run();
    expect([code, stdout]).toEqual([0, '0 advisories for what is shipped.\nNo faults.\n']);
    expect(asked).toEqual([`POST ${bulk}`]);
    expect(question).toEqual({ cart: ['1.2.3'] });
  });

  test.each(['high', 'critical'])('with an advisory that is %s makes the program fail', async (severity) => {
    handler = (request, response) =>
      request.url === bulk ? json(response, { cart: [advisory(severity)] }) : json(response, {}, 404);
    const { code, stderr } = await run();
    expect(code).toBe(1);
    expect(stderr).toContain(`cart <2.0.0: ${severity}: Command injection (https://github.com/advisories/${id})`);
  });

  test('with a lesser advisory only lets it be printed', async () => {
    handler = (request, response) =>
      request.url === bulk ? json(response, { cart: [advisory('moderate')] }) : json(response, {}, 404);
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toContain('cart <2.0.0: moderate');
  });

  test.each<[string, Handler, RegExp]>([
    ['that does not have the endpoint', (_, response) => json(response, {}, 405), /405 Method Not Allowed/],
    ['that fails', (_, response) => json(response, { error: 'down' }, 503), /503 Service Unavailable/],
    ['that answers with a page', (_, response) => void response.end('<html>'), /SKIPPED: .*\S+/],
    ['that closes the connection', (request) => void request.socket.destroy(), /SKIPPED: .*\S+/],
    ['that does not answer', () => undefined, /SKIPPED: .*\S+/],
  ])('%s is skipped with the reason', async (_, answer, reason) => {
    handler = answer;
    const { code, stdout } = await run('--timeout-ms', '500');
    expect(code).toBe(0);
    expect(stdout).toMatch(reason);
    expect(stdout).toContain('SKIPPED: the registry gives no advisories (');
  });

  test('that gives no advisories is a fault with --required', async () => {
    handler = (_, response) => json(response, {}, 405);
    expect(await run('--required')).toMatchObject({ code: 1, stderr: expect.stringContaining('SKIPPED: ') as string });
  });

  test('is not asked with --offline', async () => {
    expect(await run('--offline')).toMatchObject({ code: 0 });
    expect(asked).toEqual([]);
  });

  test('cannot be asked with a file of exceptions that has another form', async () => {
    await writeFile(join(folder, 'exceptions.json'), JSON.stringify([{ advisory: id, why: 'not used by us at all' }]));
    handler = (_, response) => json(response, {});
    const { code, stderr } = await run();
    expect(code).toBe(1);
    expect(stderr).toContain('An exception must have "advisory", "until" and "why"');
  });
});

describe('an exception', () => {
  const now = Date.parse('2026-11-28T12:00:00Z');
  const found = {
    cart: { via: [{ name: 'cart', title: 'x', url: `https://x/${id}`, severity: 'high', range: '<2' }, 'other'] },
  };
  const judge = (until: string, over: Partial<AdvisoryException> = {}) =>
    judgeAdvisories(found, [{ advisory: id, until, why: 'only with a flag that we do not set', ...over }], now);

  test.each(['2026-11-28', '2027-01-31'])('until %s lets an advisory pass, with its reason', (until) => {
    const { faults, notes } = judge(until);
    expect(faults).toEqual([]);
    expect(notes.join('\n')).toContain(`Accepted until ${until}: only with a flag that we do not set`);
  });

  test('that has ended does not', () => {
    expect(judge('2026-11-27').faults).toEqual([expect.stringContaining('The exception ended on 2026-11-27.')]);
  });

  test('for another advisory does not, and is reported as not needed', () => {
    const { faults, notes } = judge('2027-01-31', { advisory: 'GHSA-xxxx-bbbb-cccc' });
    expect(faults).toHaveLength(1);
    expect(notes).toContain('The exception for GHSA-xxxx-bbbb-cccc is not needed.');
  });

  test('that is too long is a fault itself', () => {
    expect(judge('2028-01-01').faults).toEqual([expect.stringContaining(`longer than ${exceptionDaysMax} days`)]);
  });

  test('needs an id, a day and a reason', () => {
    const good = { advisory: id, until: '2027-01-31', why: 'only with a flag that we do not set' };
    expect(parseExceptions(JSON.stringify([good]))).toEqual([good]);
    for (const over of [
      { advisory: 'CVE-2026-1' },
      { until: 'never' },
      { until: '2027-13-41' },
      { why: 'ok' },
      { until: undefined },
    ])
      expect(() => parseExceptions(JSON.stringify([{ ...good, ...over }]))).toThrow(TypeError);
    expect(() => parseExceptions('{}')).toThrow(TypeError);
  });

  test('is read from the file of the repository', async () => {
    const file = join(import.meta.dirname, 'advisory-exceptions.json');
    expect(parseExceptions(await readFile(file, 'utf8')).length).toBeLessThan(20);
  });
});
