// What `serve` prints, and how it ends: real signals to a real process.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const script = fileURLToPath(new URL('serve-fake-app.ts', import.meta.url));

class Serving {
  readonly process: ChildProcess;
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly #readers: readonly Interface[];
  readonly #closed: Promise<unknown[]>;

  constructor(kind: string) {
    const child = spawn(process.execPath, [script, kind], { stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    this.process = child;
    this.#closed = once(child, 'close');
    this.#readers = [
      createInterface({ input: child.stdout }).on('line', (line) => this.stdout.push(line)),
      createInterface({ input: child.stderr }).on('line', (line) => this.stderr.push(line)),
    ];
  }

  async line(part: string): Promise<void> {
    if ([...this.stdout, ...this.stderr].some((line) => line.includes(part))) return;
    await Promise.race(this.#readers.map((reader) => once(reader, 'line')));
    await this.line(part);
  }

  async exitCode(): Promise<unknown> {
    const [code] = await this.#closed;
    return code;
  }
}

test('tells where it listens and the line for Docker, then drains and exits with 0 on SIGTERM', async () => {
  const serving = new Serving('plain');
  await serving.line('admin listener');
  serving.process.kill('SIGTERM');
  expect(await serving.exitCode()).toBe(0);
  expect(serving.stdout).toEqual(['starting', 'stopping']);
  expect(serving.stderr).toEqual([
    'Stillwater is listening on http://0.0.0.0:5000',
    'For Docker, put this into /etc/docker/daemon.json and reload it: {"registry-mirrors": ["http://127.0.0.1:5000"]}',
    'Its admin listener is on http://127.0.0.1:5001',
  ]);
});

test('drains and exits with 0 on SIGINT', async () => {
  const serving = new Serving('plain');
  await serving.line('listening');
  serving.process.kill('SIGINT');
  expect(await serving.exitCode()).toBe(0);
});

test('exits with 1 at once on a second signal', async () => {
  const serving = new Serving('hold');
  await serving.line('For Docker');
  serving.process.kill('SIGTERM');
  await serving.line('stopping');
  serving.process.kill('SIGINT');
  expect(await serving.exitCode()).toBe(1);
});

test('stops as soon as it has started when the signal comes before that', async () => {
  const serving = new Serving('late');
  await serving.line('starting');
  serving.process.kill('SIGTERM');
  expect(await serving.exitCode()).toBe(0);
  expect(serving).toMatchObject({ stdout: ['starting', 'stopping'], stderr: [] });
});

test('reloads on SIGHUP and goes on', async () => {
  const serving = new Serving('plain');
  await serving.line('admin listener');
  serving.process.kill('SIGHUP');
  await serving.line('reloading');
  serving.process.kill('SIGTERM');
  expect(await serving.exitCode()).toBe(0);
});

test('tells in one line why it cannot start, and exits with 1', async () => {
  const serving = new Serving('broken');
  expect(await serving.exitCode()).toBe(1);
  expect(serving.stderr).toEqual(['stillwater: cannot listen: 0.0.0.0:5000: it is in use']);
});
