/** @module-tag violation */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePrometheusText } from './prometheus-text.ts';

const parse = (text: string): ReturnType<typeof parsePrometheusText> => parsePrometheusText(text, 100);
const one = (line: string): unknown => parse(line).samples[0];

describe('the text format of Prometheus', () => {
  it('has names, labels, values, types and help', () => {
    const { samples, rejected } = parse(
      [
        '# HELP jobs_total Jobs that are\\ndone. \\\\o/',
        '# TYPE jobs_total counter',
        '# a comment',
        'jobs_total{queue="mail", state = "done",} 1027 1395066363000',
        'jobs_total{queue="a\\"b\\\\c\\nd"}\t3',
        '',
        '# TYPE latency histogram',
        'latency_bucket{le="0.5"} 24054',
        'latency_sum 53.4e1',
        'plain -.5',
      ].join('\r\n'),
    );
    expect(rejected).toBe(0);
    const help = 'Jobs that are\ndone. \\o/';
    expect(samples).toEqual([
      { name: 'jobs_total', type: 'counter', help, labels: { queue: 'mail', state: 'done' }, value: 1027 },
      { name: 'jobs_total', type: 'counter', help, labels: { queue: 'a"b\\c\nd' }, value: 3 },
      { name: 'latency_bucket', type: 'histogram', help: '', labels: { le: '0.5' }, value: 24_054 },
      { name: 'latency_sum', type: 'histogram', help: '', labels: {}, value: 534 },
      { name: 'plain', type: 'untyped', help: '', labels: {}, value: -0.5 },
    ]);
  });

  it.each([
    ['NaN', Number.NaN],
    ['+Inf', Infinity],
    ['-Inf', -Infinity],
    ['Inf', Infinity],
    ['1e400', Infinity],
    ['0', 0],
  ])('takes the value %s', (text, value) => {
    expect(one(`a ${text}`)).toMatchObject({ value });
  });

  it.each([
    ...['a', 'a x', 'a 0x10', 'a 1_000', 'a 1 2 3', 'a 1 later', '1a 1', 'a-b 1', 'é 1', 'a{} ', '{a="b"} 1'],
    ...['a{b} 1', 'a{b=c} 1', 'a{b="c} 1', 'a{b="c" d="e"} 1', 'a{,} 1', 'a{b="c",,} 1', 'a{1b="c"} 1', 'a{b="c"}} 1'],
    ...['a{b="1",b="2"} 1', 'a{__name__="x"} 1', 'soulbox_pool_ready 1', `${'a'.repeat(129)} 1`],
    ...[`a{b="${'x'.repeat(257)}"} 1`, `a{${Array.from({ length: 17 }, (_, n) => `l${n}="x"`).join()}} 1`],
    `a{b="${'x'.repeat(9000)}"} 1`,
  ])('rejects the line %s and keeps the others', (line) => {
    const { samples, rejected, faults } = parse(`before 1\n${line}\nafter 2`);
    expect([samples.map(({ name }) => name), rejected]).toEqual([['before', 'after'], 1]);
    expect(faults[0]).toMatch(/^line 2: \w/);
  });

  it('keeps the first of two lines of the same series, whatever the order of the labels', () => {
    const { samples, rejected } = parse('a{x="1",y="2"} 1\na{y="2",x="1"} 2');
    expect([samples.length, samples[0]?.value, rejected]).toEqual([1, 1, 1]);
  });

  it('has a limit of series, also for 100,000 names, in little time', () => {
    const text = Array.from({ length: 100_000 }, (_, n) => `# TYPE m${n} gauge\nm${n}{label="x"} 1`).join('\n');
    const before = process.threadCpuUsage();
    const { samples, rejected, faults } = parse(text);
    expect([samples.length, rejected, faults.length]).toEqual([100, 99_900, 3]);
    expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(3000);
  });

  it('is not slowed down by hostile lines', () => {
    const before = process.threadCpuUsage();
    for (const piece of ['{', '\\', '"', 'a="', ' ', 'a=" "', '\\"', '# HELP ', 'a{b="c",'])
      parse(Array.from({ length: 30 }, () => `a${piece.repeat(8000 / piece.length)}`).join('\n'));
    expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(2000);
  });

  it.each([
    ['blanks before a text of two lines', '# HELP a', ' ', 'y\rx'],
    ['blanks before a text with a line separator', '# HELP a', ' ', 'y\u2028x'],
    ['blanks before the keyword', '#', ' ', 'x'],
    ['blanks before the name', '# TYPE', ' ', '1'],
    ['a long name in a comment', '# TYPE ', 'a', '-'],
    ['a long name', '', 'a', '-'],
    ['blanks before a brace', 'a', ' ', 'x'],
    ['blanks in the braces', 'a{', ' ', '-'],
    ['a long label', 'a{', 'b', '-'],
    ['blanks after a label', 'a{b', ' ', '-'],
    ['a long value of a label', 'a{b="', 'c', ''],
    ['a value of a label that ends with a backslash', 'a{b="', '\\\\', '\\\r"} 1'],
    ['blanks after a label and its value', 'a{b="c"', ' ', '-'],
    ['a long number', 'a ', '1', 'x'],
    ['a long fraction', 'a 1.', '1', 'x'],
    ['a long exponent', 'a 1e', '1', 'x'],
    ['blanks after the value', 'a 1', ' ', 'x'],
    ['a long time', 'a 1 ', '1', 'x'],
    ['a long infinity', 'a ', 'inf', 'x'],
  ])('takes little time for 270 lines with %s', (_what, head, piece, tail) => {
    const line = head + piece.repeat(8100 / piece.length) + tail;
    const text = Array.from({ length: 270 }, () => line).join('\n');
    const before = process.threadCpuUsage();
    parse(text);
    expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(1000);
  });

  it('keeps a help text with separators of lines, and refuses numbers of absurd length', () => {
    expect(one('# HELP a   one\rtwo \u2028 three\na 1')).toMatchObject({ help: 'one\rtwo \u2028 three' });
    expect(one(`a ${'1'.repeat(64)}`)).toMatchObject({ value: Number('1'.repeat(64)) });
    expect(parse(`a ${'1'.repeat(65)}`)).toMatchObject({ samples: [], rejected: 1 });
  });

  it('never throws, and stays within its limits, for any text', () => {
    const pieces = fc.constantFrom(
      'a',
      '{',
      '}',
      '"',
      '\\',
      ',',
      '=',
      ' ',
      '\n',
      '#',
      '1',
      'NaN',
      '__proto__',
      ' TYPE ',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string()), { maxLength: 60 }), (parts) => {
        const { samples, faults } = parsePrometheusText(parts.join(''), 3);
        expect(samples.length).toBeLessThanOrEqual(3);
        expect(faults.length).toBeLessThanOrEqual(3);
        for (const { name } of samples) expect(name).toMatch(/^[a-zA-Z_:][\w:]*$/);
      }),
    );
  });

  it('reads back every label value', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 100 }),
        fc.double().map((value) => value + 0),
        (text, value) => {
          fc.pre(!/[\r\v\f\u0085\u2028\u2029]/.test(text));
          const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
          expect(one(`a{b="${escaped}"} ${value}`)).toMatchObject({ labels: { b: text }, value });
        },
      ),
    );
  });
});
