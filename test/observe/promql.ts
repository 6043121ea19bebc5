// As much of PromQL as is needed to know which series an expression asks for.
import type { Family, Sample } from '../support/exposition.ts';

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

const ours = /\b((?:stillwater|process|nodejs)_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?/g;
const matcher = /([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g;
const grouping = /\b(?:by|on|ignoring|without)\s*\(([^)]*)\)/g;

export function selectorsOf(expression: string): Selector[] {
  return [...expression.matchAll(ours)].map(([, metric = '', matchers = '']) => ({
    metric,
    matchers: [...matchers.matchAll(matcher)].map(([, label = '', operator = '', value = '']) => ({
      ...{ label, operator, value },
    })),
  }));
}

/** The labels that an expression groups by, and those that a text shows of what it gives. */
export function labelsOf(expression: string): string[] {
  return [...expression.matchAll(grouping)].flatMap(([, labels = '']) =>
    labels.split(',').map((label) => label.trim()),
  );
}

export function placeholdersOf(text: string): string[] {
  return [...text.matchAll(/\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}/g)].map(([, label = '']) => label);
}

/** Those of a scrape that it asks for; whatever Prometheus and a dashboard's variables add fits. */
export function selected({ metric, matchers }: Selector, families: readonly Family[]): Sample[] {
  const samples = families.flatMap((family) => family.samples).filter(({ name }) => name === metric);
  return samples.filter(({ labels }) =>
    matchers.every(({ label, operator, value }) => isAdded(label) || fits(labels[label] ?? '', operator, value)),
  );
}

export function isAdded(label: string): boolean {
  return label === 'job' || label === 'instance';
}

function fits(actual: string, operator: string, wanted: string): boolean {
  const isEqual = operator.endsWith('~') ? new RegExp(`^(?:${wanted})$`).test(actual) : actual === wanted;
  return operator.startsWith('!') ? !isEqual : isEqual;
}
