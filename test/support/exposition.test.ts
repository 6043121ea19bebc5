// The strict reader of metrics finds what a scraper would stumble over, and nothing else.
import { describe, expect, test } from 'vitest';
import { parseExposition, seriesOf } from './exposition.ts';

const head = '# HELP a_total what it counts\n# TYPE a_total counter\n';
const histogram = (...lines: readonly string[]) =>
  `# HELP h how long\n# TYPE h histogram\n${lines.map((line) => `h_${line}\n`).join('')}`;
const whole = ['bucket{le="1"} 2', 'bucket{le="+Inf"} 3', 'sum 4.5', 'count 3'];

describe('the reader', () => {
  test('gives every family with its samples', () => {
    const labels = '{of="a \\"quoted\\\\ \\n one",b=""}';
    expect(parseExposition(`${head}a_total${labels} 1e3\n\n${histogram(...whole)}`)).toEqual([
      {
        name: 'a_total',
        type: 'counter',
        help: 'what it counts',
        samples: [{ name: 'a_total', labels: { of: 'a "quoted\\ \n one', b: '' }, value: 1000 }],
      },
      expect.objectContaining({ name: 'h', type: 'histogram' }),
    ]);
  });

  test('reads the values that are no plain numbers', () => {
    const text = '# HELP g x\n# TYPE g gauge\ng{a="1"} +Inf\ng{a="2"} -Inf\ng{a="3"} NaN\ng{a="4"} -0.5\n';
    const [family] = parseExposition(text);
    expect(family?.samples.map(({ value }) => value)).toEqual([Infinity, -Infinity, Number.NaN, -0.5]);
  });

  test('knows a series by its labels, in any order', () => {
    expect(seriesOf({ name: 'a', labels: { x: '1', b: '2' } })).toBe('a{b="2",x="1"}');
  });

  test.each([
    ['a last line without an end', `${head}a_total 1`, 'no end'],
    ['a sample without a TYPE', '# HELP a x\na 1\n', 'before its TYPE'],
    ['a sample before everything', 'a 1\n', 'before its TYPE'],
    ['a TYPE without a HELP', '# TYPE a counter\na 1\n', 'not behind its HELP'],
    ['a TYPE twice', `${head}# TYPE a_total counter\n`, 'not behind its HELP'],
    ['a TYPE that is none', '# HELP a x\n# TYPE a number\n', 'neither'],
    ['a HELP without a TYPE', '# HELP a x\n', 'no TYPE'],
    ['a HELP that says nothing', '# HELP a \n# TYPE a gauge\n', 'neither'],
    ['a HELP with an escape that is none', '# HELP a \\x\n# TYPE a gauge\n', 'neither'],
    ['a metric in two groups', `${head}a_total 1\n# HELP b x\n# TYPE b gauge\n${head}`, 'two groups'],
    ['a sample of another metric', `${head}b 1\n`, 'another metric'],
    ['a bucket that belongs to no histogram', `${head}a_total_bucket{le="1"} 1\n`, 'another metric'],
    ['a series twice', `${head}a_total{x="1",y="2"} 1\na_total{y="2",x="1"} 1\n`, 'twice'],
    ['a label twice', `${head}a_total{x="1",x="2"} 1\n`, 'a label twice'],
    ['a label without a value', `${head}a_total{x} 1\n`, 'labels that are none'],
    ['a label value with a quote', `${head}a_total{x="a"b"} 1\n`, 'labels that are none'],
    ['a label value with an escape that is none', `${head}a_total{x="a\\d"} 1\n`, 'labels that are none'],
    ['a label with a dash', `${head}a_total{a-b="1"} 1\n`, 'labels that are none'],
    ['a comma at the end', `${head}a_total{x="1",} 1\n`, 'labels that are none'],
    ['a name with a dash', '# HELP a-b x\n# TYPE a-b gauge\n', 'neither'],
    ['a value that is no number', `${head}a_total one\n`, 'no number'],
    ['a value that is missing', `${head}a_total\n`, 'no sample'],
    ['a line end of Windows', `${head}a_total 1\r\n`, 'no sample'],
    ['a counter below nothing', `${head}a_total -1\n`, 'below 0'],
    ['buckets out of order', histogram('bucket{le="+Inf"} 3', 'bucket{le="1"} 3', 'sum 1', 'count 3'), 'out of order'],
    ['buckets that do not add up', histogram('bucket{le="1"} 4', ...whole.slice(1)), 'not add up'],
    ['a histogram without its last bucket', histogram(...whole.toSpliced(1, 1)), 'no bucket for all'],
    ['a bucket for all that is not', histogram(...whole.slice(0, 3), 'count 4'), 'not the count'],
    ['a histogram without a count', histogram(...whole.slice(0, 3)), 'not the count'],
    ['a histogram without a sum', histogram(...whole.toSpliced(2, 1)), 'no sum'],
  ])('finds %s', (_, text, problem) => {
    expect(() => parseExposition(text)).toThrow(problem);
  });
});
