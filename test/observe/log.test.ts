// Log lines as a process writes them to its standard output, and an error told in one line.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { errorText, type LogOptions } from '../../src/observe/log.ts';

const logFile = new URL('../../src/observe/log.ts', import.meta.url).href;

/** Runs `calls` on a `log` in a process of its own, since a log writes to descriptor 1. */
async function logged(options: LogOptions, calls: string): Promise<string> {
  const program = `import { createLog } from ${JSON.stringify(logFile)};
    const log = await createLog(${JSON.stringify(options)}); ${calls}`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '--eval', program]);
  return stdout;
}

/** As `calls` see it: `plain` is the log for lines without objects. */
async function loggedPlain(calls: string): Promise<string> {
  return logged(
    { level: 'info', format: 'json' },
    `const plain = (await import(${JSON.stringify(logFile)})).plainLines(log); ${calls}`,
  );
}

async function loggedJson(calls: string): Promise<unknown> {
  return JSON.parse(await logged({ level: 'info', format: 'json' }, calls));
}

describe('a log for machines', () => {
  test('writes one JSON line an event, with its level as a word and its time in ISO form', async () => {
    const stdout = await logged(
      { level: 'info', format: 'json' },
      `log.info({ digest: 'd' }, 'one'); log.warn('two\\nlines');`,
    );
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      { level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), digest: 'd', msg: 'one' },
      { level: 'warn', time: expect.any(String), msg: 'two\nlines' },
    ]);
  });

  test('leaves out what is below its level', async () => {
    expect(await logged({ level: 'warn', format: 'json' }, `log.info('no'); log.debug('no');`)).toBe('');
  });

  test('never writes the headers of a request', async () => {
    expect(await loggedJson(`log.info({ headers: { authorization: 'secret' }, path: '/v2/' }, 'x');`)).toEqual({
      level: 'info',
      time: expect.any(String),
      path: '/v2/',
      msg: 'x',
    });
  });

  test.each(['authorization', 'password', 'token'])('never writes a field called %s', async (field) => {
    const calls = `log.info({ upstream: { name: 'docker.io', ${field}: 'secret' } }, 'x');`;
    expect(await loggedJson(calls)).toMatchObject({ upstream: { name: 'docker.io' } });
    expect(await logged({ level: 'info', format: 'json' }, calls)).not.toContain('secret');
  });

  test.each(['authorization', 'password', 'token'])('never writes %s at the top of an event', async (field) => {
    expect(await logged({ level: 'info', format: 'json' }, `log.info({ ${field}: 'secret' }, 'x');`)).not.toContain(
      'secret',
    );
  });
});

describe('lines without objects', () => {
  test('look like all others, in their order', async () => {
    const lines = (await loggedPlain(`plain.info({ n: 1 }, 'x'); log.info({ n: 2 }, 'x'); plain.info({ n: 3 }, 'x');`))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([1, 2, 3].map((n) => ({ level: 'info', time: expect.any(String), n, msg: 'x' })));
  });

  test.each(['authorization', 'password', 'token', 'headers'])('never have a field called %s', async (field) => {
    expect(await loggedPlain(`plain.info({ ${field}: 'secret' }, 'x');`)).not.toContain('secret');
  });

  test('keep to the level of the log', async () => {
    const calls = `log.level = 'warn'; plain.info('no'); plain.warn('yes');`;
    expect((await loggedPlain(calls)).match(/no|yes/g)).toEqual(['yes']);
  });
});

describe('a level that changes', () => {
  /** What was written of each of the three logs at `level`, by those that were there when the log was at `from`. */
  async function written(from: string, ...levels: readonly string[]): Promise<string[]> {
    const stdout = await logged(
      { level: from, format: 'json' },
      `const { plainLines, auditLines, setLogLevel } = await import(${JSON.stringify(logFile)});
       const logs = { log, child: log.child({ of: 'log' }), plain: plainLines(log), audit: auditLines(log) };
       for (const level of ${JSON.stringify(levels)}) {
         setLogLevel(log, level);
         for (const [name, one] of Object.entries(logs)) for (const as of ['debug', 'info', 'warn']) one[as](level + ' ' + name + ' ' + as);
       }`,
    );
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).msg as string);
  }

  const lines = (level: string, ...which: readonly string[]) => which.map((line) => `${level} ${line}`);
  const ofAll = (...levels: readonly string[]) =>
    ['log', 'child', 'plain'].flatMap((name) => levels.map((level) => `${name} ${level}`));
  const audit = ['audit info', 'audit warn'];

  test('is that of all that was made of the log, and no audit line is lost by it', async () => {
    expect(await written('info', 'warn', 'debug', 'info')).toEqual([
      ...lines('warn', ...ofAll('warn'), ...audit),
      ...lines('debug', ...ofAll('debug', 'info', 'warn'), ...audit),
      ...lines('info', ...ofAll('info', 'warn'), ...audit),
    ]);
  });

  test('starts quietly and can be heard later', async () => {
    expect(await written('warn', 'warn', 'info')).toEqual([
      ...lines('warn', ...ofAll('warn'), ...audit),
      ...lines('info', ...ofAll('info', 'warn'), ...audit),
    ]);
  });

  test('of silence silences the audit too, until it ends', async () => {
    expect(await written('silent', 'silent', 'info', 'silent', 'error')).toEqual([
      ...lines('info', ...ofAll('info', 'warn'), ...audit),
      ...lines('error', ...audit),
    ]);
  });

  test('is there for an audit that is put together after it, and anew', async () => {
    const calls = `const { auditLines, setLogLevel } = await import(${JSON.stringify(logFile)});
      setLogLevel(log, 'error'); const first = auditLines(log); first.info('one');
      const again = auditLines(log); again.info('two'); setLogLevel(log, 'silent'); first.info('no'); again.info('no');`;
    const stdout = await logged({ level: 'info', format: 'json' }, calls);
    expect(stdout.match(/"msg":"\w+"/g)).toEqual(['"msg":"one"', '"msg":"two"']);
  });
});

test('a log for people writes one readable line an event and hides the same', async () => {
  const stdout = await logged(
    { level: 'info', format: 'pretty' },
    `log.info({ digest: 'd', upstream: { token: 'secret' } }, 'listening');`,
  );
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  expect(stdout).toContain('INFO: listening');
  expect(stdout).toContain('"digest":"d"');
  expect(stdout).not.toContain('secret');
});

describe('the text of an error', () => {
  test.each([
    ['its message', new Error('no room'), 'no room'],
    [
      'its causes',
      new Error('fill failed', { cause: new Error('disk', { cause: 'ENOSPC' }) }),
      'fill failed: disk: ENOSPC',
    ],
    ['its name where the message is empty', new AggregateError([]), 'AggregateError'],
    ['what was thrown, if that was no error', 'text', 'text'],
    ['nothing for nothing', undefined, ''],
    ['nothing for null', null, ''],
  ])('is %s', (_, error, text) => {
    expect(errorText(error)).toBe(text);
  });

  test('ends where causes go in a circle', () => {
    const error = new Error('a');
    error.cause = error;
    expect(errorText(error)).toBe('a: a: a: a: a');
  });
});
