import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readCustomSources } from './custom-sources.ts';
import { createStatsdListener } from './statsd-listener.ts';
import type { StatsdListener } from './statsd-listener.ts';
import { createStatsdTable } from './statsd-table.ts';

const readAfter = (...datagrams: readonly string[]): { text: string; refused: number } => {
  const table = createStatsdTable();
  for (const datagram of datagrams) table.take(datagram);
  return table.read();
};

describe('lines of StatsD', () => {
  test('are counters, gauges and timers in the form of Prometheus', () => {
    const { text, refused } = readAfter(
      'jobs.done:1|c\njobs.done:2|c|@0.5\nqueue-length:7|g\nqueue-length:-2|g\nqueue-length:+1|g\n',
      ...['took:100|ms', 'took:300|ms', 'took:200|ms|#unit:x', 'size:5|h', 'size:7|d'],
    );
    expect(refused).toBe(0);
    expect(text.split('\n')).toEqual([
      ...['# TYPE jobs_done counter', 'jobs_done 5', '# TYPE queue_length gauge', 'queue_length 6'],
      ...['# TYPE size summary', 'size{quantile="0.5"} 5', 'size{quantile="0.9"} 7', 'size{quantile="0.99"} 7'],
      ...['size_sum 12', 'size_count 2'],
      ...['# TYPE took summary', 'took{quantile="0.5"} 0.1', 'took{quantile="0.9"} 0.3', 'took{quantile="0.99"} 0.3'],
      ...['took_sum 0.4', 'took_count 2'],
      ...['took{unit="x",quantile="0.5"} 0.2', 'took{unit="x",quantile="0.9"} 0.2'],
      ...['took{unit="x",quantile="0.99"} 0.2', 'took_sum{unit="x"} 0.2', 'took_count{unit="x"} 1', ''],
    ]);
  });

  test('have tags as labels, in any order', () => {
    const { text } = readAfter('a:1|c|#queue:mail,env:"x\\y"', 'a:2|c|#env:"x\\y",queue:mail', '9a:1|g|#up');
    expect(text).toContain('a{env="\\"x\\\\y\\"",queue="mail"} 3\n');
    expect(text).toContain('_9a{up=""} 1\n');
  });

  test.each([
    ...['', 'a', 'a:', 'a:1', 'a:1|', ':1|c', 'a:1|s', 'a:x|c', 'a:1|c|@0', 'a:1|c|@2', 'a:1|c|@x', 'a:-1|c'],
    ...['a:NaN|g', 'a:inf|g', 'a:Infinity|c', 'a:1e999|g', 'a:0x10|g', 'a:1|c|#a:1,a:2', `a:1|c|#a:${'x'.repeat(300)}`],
    ...[`${'x'.repeat(129)}:1|c`, `a:1|c|#${'t,'.repeat(20)}`, `a:${'1'.repeat(2000)}|c`, '_e{5,4}:title|text'],
    'a:1|c'.padEnd(2000, '|x'),
  ])('that are not valid cost only themselves: %j', (line) => {
    const { text, refused } = readAfter(`before:1|c\n${line}\nafter:1|c`);
    expect(refused).toBe(line === '' ? 0 : 1);
    expect(text).toBe('# TYPE after counter\nafter 1\n# TYPE before counter\nbefore 1\n');
  });

  test('never make a value infinite', () => {
    const { text, refused } = readAfter(...Array.from({ length: 20 }, () => 'a:9e307|c\nb:+9e307|g\nt:9e307|h'));
    expect(refused).toBeGreaterThan(40);
    expect(text).not.toMatch(/Infinity|NaN/);
  });

  test('of one name keep their kind', () => {
    expect(readAfter('a:1|c', 'a:5|g').text).toBe('# TYPE a counter\na 1\n');
  });

  test('with 100,000 names, or with tags without end, have 256 series and little text', () => {
    const table = createStatsdTable();
    for (let n = 0; n < 100_000; n++) table.take(`name${n}:1|c`);
    for (let n = 0; n < 1000; n++) table.take(`t:1|ms|#tag:${'x'.repeat(200)}${n}`);
    const { text, refused } = table.read();
    expect(text.match(/^name\d+ 1$/gm)).toHaveLength(256);
    expect([text.length < 65_536, refused]).toEqual([true, 100_744]);
    expect(table.read().refused).toBe(0);
  });

  test('of timers count as the lines that they become, and have room for the label of quantiles', () => {
    const table = createStatsdTable();
    for (let n = 0; n < 60; n++) table.take(`timer${n}:1|ms`);
    const { text, refused } = table.read();
    expect(text.match(/^timer\d+(?:_sum|_count)?(?:\{.*\})? /gm)).toHaveLength(255);
    expect(refused).toBe(9);
    const tags = Array.from({ length: 16 }, (_, n) => `t${n}:x`);
    expect(readAfter(`a:1|ms|#${tags.join(',')}`).refused).toBe(1);
    expect(readAfter(`a:1|ms|#${tags.slice(1).join(',')}`).text).toContain('t9="x",quantile="0.5"} ');
    expect(readAfter('a:1|ms|#quantile:1').refused).toBe(1);
  });

  test('of a series that is reported no more are forgotten, and its place is free', () => {
    let nowMs = 0;
    const table = createStatsdTable(() => nowMs);
    for (let n = 0; n < 300; n++) table.take(`old${n}:1|c`);
    nowMs = 31 * 60_000;
    expect(table.read().text).toBe('');
    table.take('new:1|c');
    expect(table.read().text).toBe('# TYPE new counter\nnew 1\n');
  });
});

describe('a port for StatsD', () => {
  let directory: string;
  let statsd: StatsdListener;
  let sender: Socket;
  let port: number;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'soulbox-statsd-'));
    statsd = createStatsdListener();
    sender = createSocket('udp4');
    port = await freePort();
  });
  afterEach(async () => {
    statsd.close();
    sender.close();
    await removeTree(directory);
  });

  async function freePort(): Promise<number> {
    const probe = createSocket('udp4');
    probe.bind(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port: found } = probe.address();
    probe.close();
    return found;
  }
  const name = async (text: string, file = 'a.statsd'): Promise<void> => await writeFile(join(directory, file), text);
  const read = async () => await readCustomSources(directory, statsd);
  const send = async (text: string): Promise<void> =>
    await new Promise((resolve) => sender.send(text, port, '127.0.0.1', () => resolve()));

  test('is opened by a file with its number, and closed when the file is gone', async () => {
    await name(`${port}\n`);
    expect(await read()).toEqual([{ name: 'a.statsd', text: '' }]);
    await send('jobs:1|c\nnonsense\n');
    const text = '# TYPE jobs counter\njobs 1\n';
    await expect.poll(async () => (await read())[0]?.text).toBe(text);
    await rm(join(directory, 'a.statsd'));
    expect(await read()).toEqual([]);
    await send('jobs:1|c');
    await name(String(port));
    expect((await read())[0]?.text).toBe('');
  });

  test('counts lines that are not valid', async () => {
    await name(String(port));
    await read();
    await send('nonsense\nmore');
    await expect.poll(async () => (await read())[0]?.fault).toBe('2 lines were not valid, or beyond a limit.');
  });

  test.each(['', 'x', '0', '80', '1023', '65536', '8125/x', '-1', '1e4'])('is not opened by %j', async (text) => {
    await name(text);
    const [source] = await read();
    expect([source?.text, source?.fault]).toEqual(['', expect.stringMatching(/must/)]);
  });

  test('that another program has is a fault, and so is a second file', async () => {
    const other = createSocket('udp4');
    other.bind(0, '127.0.0.1');
    await once(other, 'listening');
    await name(String(other.address().port));
    await name(String(port), 'b.statsd');
    const [first, second] = await read();
    expect(first?.fault).toContain('cannot be opened (EADDRINUSE)');
    expect(second?.fault).toBe('Only a.statsd is used.');
    other.close();
  });

  test('stays open while its file is written anew, and while other users add files', async () => {
    await name(String(port));
    await read();
    await send('jobs:1|c');
    const text = '# TYPE jobs counter\njobs 1\n';
    await expect.poll(async () => (await read())[0]?.text).toBe(text);
    await name('');
    expect(await read()).toEqual([{ name: 'a.statsd', text, fault: expect.stringMatching(/must/) as string }]);
    await name('80', '0.statsd');
    await name(String(await freePort()), '1.statsd');
    await name(String(port));
    const sources = await read();
    expect(sources.map((source) => source.name)).toEqual(['0.statsd', '1.statsd', 'a.statsd']);
    expect(sources.map((source) => source.text)).toEqual(['', '', text]);
  });

  test('takes a limited number of bytes in a second, however few datagrams they are', async () => {
    statsd = createStatsdListener({ datagramsPerSecond: 5000, bytesPerSecond: 20_000 });
    await name(String(port));
    await read();
    for (let n = 0; n < 30; n++) {
      await send('a:1|c\n'.repeat(1000));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const [source] = await read();
    expect(Number(/^a (\d+)$/m.exec(source?.text ?? '')?.[1])).toBeLessThan(10_000);
    expect(source?.fault).toContain('Datagrams were dropped');
  });

  test('drops what a flood sends beyond the limit of a second, and goes on in the next one', async () => {
    statsd = createStatsdListener({ datagramsPerSecond: 200, bytesPerSecond: 1_000_000 });
    await name(String(port));
    await read();
    for (let n = 0; n < 2000; n++) {
      await send('a:1|c');
      if (n % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const [source] = await read();
    const counted = Number(/^a (\d+)$/m.exec(source?.text ?? '')?.[1]);
    expect(counted).toBeGreaterThanOrEqual(200);
    expect(counted).toBeLessThan(1500);
    expect(source?.fault).toContain('Datagrams were dropped');
    const later = async (): Promise<string | undefined> => {
      await send('later:1|c');
      return (await read())[0]?.text;
    };
    await expect.poll(later, { timeout: 5000 }).toContain('later ');
  });
});
