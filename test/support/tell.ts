// Figures of a proof, said beside the verdict of the test runner, which has no place for them.

export function tell(figures: Readonly<Record<string, string | number>>): void {
  const words = Object.entries(figures).map(
    ([name, value]) => `${name}: ${typeof value === 'number' ? round(value) : value}`,
  );
  process.stderr.write(`measured: ${words.join(', ')}\n`);
}

function round(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}
