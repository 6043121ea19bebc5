// The Prometheus text format, read strictly: whatever a scraper could stumble over is an error here.
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

interface OpenFamily {
  readonly name: string;
  readonly help: string;
  type: string | undefined;
  readonly samples: Sample[];
}

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const helpLine = new RegExp(`^# HELP (${metricName}) ((?! )(?:[^\\\\]|\\\\\\\\|\\\\n)+)$`);
const typeLine = new RegExp(`^# TYPE (${metricName}) (counter|gauge|histogram|summary|untyped)$`);
const sampleLine = new RegExp(`^(${metricName})(?:\\{(.*)\\})? (\\S+)$`);
/** Sticky: each begins where the last one ended. */
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,(?=[a-zA-Z_])|$)/y;
const number = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const suffixes: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/** Throws an error that names the line. */
export function parseExposition(text: string): Family[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families: OpenFamily[] = [];
  const seen = new Set<string>();
  text
    .slice(0, -1)
    .split('\n')
    .forEach((line, index) => {
      try {
        readLine(line, families, seen);
      } catch (error) {
        throw new Error(`line ${index + 1}: ${(error as Error).message}: ${line}`);
      }
    });
  return families.map(finished);
}

/** `name{a="b"}`, whatever the order of its labels. */
export function seriesOf({ name, labels }: Omit<Sample, 'value'>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return `${name}{${pairs.sort().join(',')}}`;
}

function readLine(line: string, families: OpenFamily[], seen: Set<string>): void {
  if (line === '') return;
  const current = families.at(-1);
  if (line.startsWith('#')) {
    const [, name = '', help] = helpLine.exec(line) ?? [];
    if (help !== undefined) {
      if (families.some((family) => family.name === name)) throw new Error('a metric in two groups');
      families.push({ name, help, type: undefined, samples: [] });
      return;
    }
    const [, typed, type] = typeLine.exec(line) ?? [];
    if (type === undefined) throw new Error('neither a HELP nor a TYPE');
    if (!current || typed !== current.name || current.type !== undefined)
      throw new Error('a TYPE that is not behind its HELP');
    current.type = type;
    return;
  }
  const sample = readSample(line);
  if (current?.type === undefined) throw new Error('a sample before its TYPE');
  const names = (suffixes[current.type] ?? ['']).map((suffix) => current.name + suffix);
  if (!names.includes(sample.name)) throw new Error('a sample of another metric');
  const series = seriesOf(sample);
  if (seen.has(series)) throw new Error('a series twice');
  seen.add(series);
  current.samples.push(sample);
}

function readSample(line: string): Sample {
  const [, name, labels = '', value = ''] = sampleLine.exec(line) ?? [];
  if (name === undefined) throw new Error('no sample');
  return { name, labels: readLabels(labels), value: readNumber(value) };
}

function readLabels(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  labelPair.lastIndex = 0;
  while (labelPair.lastIndex < text.length) {
    const [, label, value = ''] = labelPair.exec(text) ?? [];
    if (label === undefined) throw new Error('labels that are none');
    if (label in labels) throw new Error('a label twice');
    labels[label] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
  }
  return labels;
}

function readNumber(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  if (text === 'NaN') return Number.NaN;
  if (!number.test(text)) throw new Error('a value that is no number');
  return Number(text);
}

function finished({ name, help, type, samples }: OpenFamily): Family {
  if (type === undefined) throw new Error(`${name} has no TYPE`);
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} counts below 0`);
  if (type === 'histogram') checkHistogram(name, samples);
  return { name, help, type, samples };
}

/** Each set of labels has its buckets in order, each with all below it, and the last of them counts all. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const groups = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => seriesOf({ name, labels }));
  for (const [series, group] of groups) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels: { le } }) => readNumber(le ?? ''));
    const counts = buckets.map(({ value }) => value);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    if (!isAscending(bounds, (one, next) => one < next)) throw new Error(`${series}: buckets out of order`);
    if (!isAscending(counts, (one, next) => one <= next)) throw new Error(`${series}: buckets that do not add up`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${series}: no bucket for all`);
    if (counts.at(-1) !== count) throw new Error(`${series}: the bucket for all is not the count`);
    if (!group.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${series}: no sum`);
  }
}

function isAscending(numbers: readonly number[], inOrder: (one: number, next: number) => boolean): boolean {
  return numbers.every((next, index) => index === 0 || inOrder(numbers[index - 1] ?? Number.NaN, next));
}
