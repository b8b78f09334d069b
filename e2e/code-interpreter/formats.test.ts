import { describe, expect, test } from 'vitest';
import { isMade, sharedInterpreter } from '../harness/code-interpreter.ts';
import { ask, routes } from '../harness/http.ts';

describe.skipIf(!isMade)('results of code', () => {
  const sandbox = sharedInterpreter();
  const one = async (code: string, language = 'python') => {
    const { error, results } = await sandbox().runCode(code, { language });
    expect(error).toBeUndefined();
    expect(results).toHaveLength(1);
    const [result] = results;
    if (result === undefined) throw new Error('no result');
    return result;
  };
  const chartOf = async (drawing: string): Promise<Record<string, unknown>> => {
    const result = await one(`import matplotlib.pyplot as plt\n${drawing}\nplt.show()`);
    expect(result.formats()).toEqual(['png']);
    expect(
      Buffer.from(result.png ?? '', 'base64')
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG');
    return result.chart as unknown as Record<string, unknown>;
  };

  test.each([
    ['html', 'HTML("<b>x</b>")', '<b>x</b>'],
    ['markdown', 'Markdown("# x")', '# x'],
    ['svg', `SVG(data='<svg xmlns="http://www.w3.org/2000/svg"/>')`, '<svg xmlns="http://www.w3.org/2000/svg"/>'],
    ['latex', 'Latex("$x$")', '$x$'],
    ['javascript', 'Javascript("1+1")', '1+1'],
  ] as const)('Python shows %s', async (format, code, value) => {
    expect((await one(`from IPython.display import *\ndisplay(${code})`))[format]).toBe(value);
  });

  test('pictures and documents come in base64', async () => {
    const result = await one(`from IPython.display import display
display({'image/png': 'iVBORw==', 'image/jpeg': '/9j/', 'application/pdf': 'JVBERg=='}, raw=True)`);
    expect(result).toMatchObject({ png: 'iVBORw==', jpeg: '/9j/', pdf: 'JVBERg==' });
  });

  test('unknown types come unchanged', async () => {
    const result = await one("display({'application/x-own': {'a': 1}, 'text/plain': 'own'}, raw=True)");
    expect(result.raw.extra).toEqual({ 'application/x-own': { a: 1 } });
    expect(result.text).toBe('own');
    expect(result.isMainResult).toBe(false);
  });

  test('lists and dicts are JSON too, strings lose one pair of quotes, and long ones are complete', async () => {
    expect(await one('{"a": [1, None, "ü"]}')).toMatchObject({
      json: { a: [1, null, 'ü'] },
      text: "{'a': [1, None, 'ü']}",
    });
    expect((await one('"a \'quoted\' text"')).text).toBe("a 'quoted' text");
    expect((await one('list(range(5000))')).text).toMatch(/4998,\s+4999\]$/);
    expect((await one('{"nan": float("nan")}')).formats()).not.toContain('json');
  });

  // The JavaScript client parses all numbers into its own type, so this test reads the raw line.
  const lineOf = async (code: string, language: string): Promise<string> => {
    const headers = { ...routes.headers(sandbox().sandboxId, 49_999), 'content-type': 'application/json' };
    const request = { method: 'POST', path: '/execute', headers, body: JSON.stringify({ code, language }) };
    const { body } = await ask(request);
    const line = body.split('\n').find((one) => one.includes('"type":"result"'));
    if (line === undefined) throw new Error(`no result: ${body}`);
    return line;
  };

  test.each([
    ['a list', '[1.0, 12345678901234567890, -0.0, 1e22]', '"json":[1.0, 12345678901234567890, -0.0, 1e+22]'],
    [
      'a data frame',
      `import pandas as pd; pd.DataFrame({'2': [1.0, 2.5], '1': [12345678901234567890, 1]})`,
      '"data":{"2": [1.0, 2.5], "1": [12345678901234567890, 1]}',
    ],
    [
      'a type without a name',
      `display({'application/x-own': {'a': 1.0}}, raw=True)`,
      '"extra":{"application/x-own":{"a": 1.0}}',
    ],
    ['a chart', 'import matplotlib.pyplot as plt; plt.plot([1.0, 2.0]); plt.show()', '[1.0, 2.0]'],
  ])('numbers of Python arrive as its kernel wrote them: %s', async (_what, code, expected) => {
    expect((await lineOf(code, 'python')).replaceAll(/([:,]) */g, '$1')).toContain(
      expected.replaceAll(/([:,]) */g, '$1'),
    );
  });

  test('numbers of JavaScript arrive as JavaScript writes them', async () => {
    expect(await lineOf('({ a: [1e21, 0.1, 9007199254740993] })', 'javascript')).toContain(
      '"json":{"a":[1e+21,0.1,9007199254740992]}',
    );
  });

  test('numbers of R arrive as its kernel wrote them', async () => {
    const code = `IRdisplay::publish_mimebundle(list('application/json' = list(a = I(c(1.5, 12345678901)))))`;
    expect(await lineOf(code, 'r')).toContain('12345678901');
  });

  test('a data frame is data: a list per column, with dates in ISO form', async () => {
    const result = await one(`import pandas as pd
pd.DataFrame({'n': [1, 2.5], 's': ['a', None], 'd': pd.to_datetime(['2024-01-02 00:00', '2024-01-03 04:05']), 'b': [True, False]})`);
    expect(result.data).toEqual({
      n: [1, 2.5],
      s: ['a', null],
      d: ['2024-01-02T00:00:00', '2024-01-03T04:05:00'],
      b: [true, false],
    });
    expect(result.html).toContain('<table');
    expect(result.text).toContain('2024-01-02');
  });

  test('a saved image is shown', async () => {
    const { results } = await sandbox().runCode(
      'from PIL import Image\nImage.new("RGB", (2, 2)).save("/tmp/x.png")\n"saved"',
    );
    expect(results.map((result) => [result.isMainResult, result.png !== undefined])).toEqual([
      [false, true],
      [true, false],
    ]);
  });

  test('JavaScript can show results in the same formats', async () => {
    const code = `display.html('<b>x</b>'); display.png(Buffer.from([0x89, 0x50])); display.mime({ 'text/markdown': '# x' });
$$.svg('<svg/>'); display({ a: [1] }); ({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': 'own' }) })`;
    const { results, error } = await sandbox().runCode(code, { language: 'js' });
    expect(error).toBeUndefined();
    expect(results.map(({ raw }) => raw)).toMatchObject([
      { html: '<b>x</b>' },
      { png: 'iVA=' },
      { markdown: '# x' },
      { svg: '<svg/>' },
      { json: { a: [1] }, text: '{ a: [ 1 ] }' },
      { html: 'own' },
    ]);
  });

  test('R draws', async () => {
    const result = await one('plot(1:3)', 'r');
    expect(
      Buffer.from(result.png ?? '', 'base64')
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG');
    expect(result.isMainResult).toBe(false);
  });

  test('a line chart has labels, units, ticks, scales and points', async () => {
    const chart = await chartOf(`plt.plot([1, 2, 3], [10, 100, 1000], label='a')
plt.plot([1, 2], [5, 6])
plt.axhline(7)
plt.grid()
plt.yscale('log')
plt.title('T'); plt.xlabel('Time (s)'); plt.ylabel('Speed [m/s]')`);
    expect(chart).toMatchObject({
      type: 'line',
      title: 'T',
      x_label: 'Time (s)',
      y_label: 'Speed [m/s]',
      x_unit: 's',
      y_unit: 'm/s',
      x_scale: 'linear',
      y_scale: 'log',
      elements: [
        { label: 'a', points: [[1, 10], [2, 100], [3, 1000]] }, // prettier-ignore
        { label: 'Line 1', points: [[1, 5], [2, 6]] }, // prettier-ignore
      ],
    });
    expect(chart['x_ticks']).toHaveLength((chart['x_tick_labels'] as string[]).length);
    expect(chart['y_ticks']).toEqual(expect.arrayContaining([10, 100, 1000]));
  });

  test.each([
    ['linear', 'plt.plot([1, 2])'],
    ['log', 'plt.plot([1, 2]); plt.yscale("log")'],
    ['symlog', 'plt.plot([1, 2]); plt.yscale("symlog")'],
    ['logit', 'plt.plot([0.1, 0.9]); plt.yscale("logit")'],
    ['asinh', 'plt.plot([1, 2]); plt.yscale("asinh")'],
    ['function', 'plt.plot([1, 2]); plt.yscale("function", functions=(lambda x: x * 2, lambda x: x / 2))'],
    ['functionlog', 'plt.plot([1, 2]); plt.yscale("functionlog", functions=(lambda x: x * 2, lambda x: x / 2))'],
    ['categorical', 'plt.plot([1, 2], ["low", "high"])'],
    ['datetime', 'import datetime as d; plt.plot([1, 2], [d.datetime(2024, 1, 1), d.datetime(2024, 1, 2)])'],
  ])('the scale %s is named', async (scale, drawing) => {
    expect(await chartOf(drawing)).toMatchObject({ type: 'line', x_scale: 'linear', y_scale: scale });
  });

  test('points show dates and categories in readable form', async () => {
    expect(
      await chartOf('import datetime as d; plt.plot([d.date(2024, 1, 1), d.date(2024, 1, 2)], ["a", "b"])'),
    ).toMatchObject({
      elements: [{ points: [['2024-01-01', 'a'], ['2024-01-02', 'b']] }], // prettier-ignore
    });
  });

  test('text of any alphabet is drawn', async () => {
    const code = "import matplotlib.pyplot as plt\nplt.title('Grüße, 世界, 한국')\nplt.plot([1, 2])\nplt.show()";
    const { logs, results } = await sandbox().runCode(code);
    expect(logs.stderr).toEqual([]);
    expect(results[0]?.chart?.title).toBe('Grüße, 世界, 한국');
  });

  test('a scatter chart', async () => {
    expect(await chartOf('plt.scatter([1, 2], [3, 4], label="s"); plt.xlabel("Mass (kg)")')).toMatchObject({
      type: 'scatter',
      title: null,
      x_unit: 'kg',
      y_unit: null,
      elements: [{ label: 's', points: [[1, 3], [2, 4]] }], // prettier-ignore
    });
  });

  test('bar charts: vertical, horizontal and grouped', async () => {
    expect(await chartOf('plt.bar(["A", "B"], [10, 20]); plt.ylabel("Sum (€)")')).toEqual({
      type: 'bar',
      title: null,
      x_label: null,
      y_label: 'Sum (€)',
      x_unit: null,
      y_unit: '€',
      elements: [
        { label: 'A', group: 'Group 0', value: 10 },
        { label: 'B', group: 'Group 0', value: 20 },
      ],
    });
    expect(await chartOf('plt.barh(["A"], [10])')).toMatchObject({ elements: [{ label: 'A', value: 10 }] });
    const grouped = `import pandas as pd
pd.DataFrame({'g': [1, 2], 'h': [3, 4]}, index=['A', 'B']).plot.bar()`;
    const { results } = await sandbox().runCode(`${grouped};`);
    expect(results.at(-1)?.chart?.elements).toEqual([
      { label: 'A', group: 'g', value: 1 },
      { label: 'B', group: 'g', value: 2 },
      { label: 'A', group: 'h', value: 3 },
      { label: 'B', group: 'h', value: 4 },
    ]);
  });

  test('a pie chart', async () => {
    expect(await chartOf('plt.pie([1, 3], labels=["a", "b"], radius=2); plt.title("P")')).toEqual({
      type: 'pie',
      title: 'P',
      elements: [
        { label: 'a', angle: 90, radius: 2 },
        { label: 'b', angle: 270, radius: 2 },
      ],
    });
  });

  test('a box plot', async () => {
    expect(await chartOf('plt.boxplot([[1, 2, 3, 4, 20]], tick_labels=["x"]); plt.ylabel("Age [y]")')).toEqual({
      type: 'box_and_whisker',
      title: null,
      x_label: null,
      y_label: 'Age [y]',
      x_unit: null,
      y_unit: 'y',
      elements: [{ label: 'x', min: 1, first_quartile: 2, median: 3, third_quartile: 4, max: 4, outliers: [20] }],
    });
  });

  test('several axes are a superchart, a picture is unknown, and an empty figure gives no chart', async () => {
    expect(
      await chartOf('f, (a, b) = plt.subplots(1, 2); a.plot([1, 2]); b.bar(["q"], [1]); f.suptitle("S")'),
    ).toMatchObject({ type: 'superchart', title: 'S', elements: [{ type: 'line' }, { type: 'bar' }] });
    expect(await chartOf('plt.imshow([[1, 2]])')).toEqual({ type: 'unknown', title: null, elements: [] });
    const { results } = await sandbox().runCode('import matplotlib.pyplot as plt\nplt.figure()');
    expect(results[0]?.chart).toEqual({});
  });
});
