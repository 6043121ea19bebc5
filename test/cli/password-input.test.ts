// Passwords as people type them: nothing of them is shown, and leaving is no password.
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { askForPassword, readPassword } from '../../src/cli/password-input.ts';

/** A terminal at which somebody types this at once. */
function terminal(typed: string) {
  const input = Object.assign(new PassThrough(), { modes: [] as boolean[], setRawMode });
  function setRawMode(isRaw: boolean) {
    input.modes.push(isRaw);
  }
  const output = new PassThrough({ encoding: 'utf8' });
  input.write(typed);
  const shown = () => output.read() ?? '';
  return { input, output, shown };
}

describe('a person', () => {
  test('is asked twice, and what is typed is not shown', async () => {
    const { input, output, shown } = terminal('pass wörd\rpass wörd\r');
    expect(await askForPassword({ input, output })).toBe('pass wörd');
    expect(shown()).toBe('Password: \nThe same again: \n');
    expect(input.modes).toEqual([true, false]);
  });

  test('may correct what was typed', async () => {
    const { input, output } = terminal('secrex\x7ft\rsecret\r');
    expect(await askForPassword({ input, output })).toBe('secret');
  });

  test('who types two different ones is told', async () => {
    const { input, output, shown } = terminal('one\rother\r');
    await expect(askForPassword({ input, output })).rejects.toThrow(
      new Error('the two passwords differ; nothing is changed, try again'),
    );
    expect(shown()).not.toMatch(/one|other/);
  });

  test.each([
    ['interrupts', 'sec\x03'],
    ['ends the input', '\x04'],
    ['interrupts the second time', 'secret\rsec\x03'],
  ])('who %s gives none, and has the terminal back', async (_what, typed) => {
    const { input, output } = terminal(typed);
    await expect(askForPassword({ input, output })).rejects.toThrow(
      new Error('no password was given; nothing is changed'),
    );
    expect(input.modes.at(-1)).toBe(false);
  });
});

describe('a program', () => {
  const piped = async (...chunks: (string | Buffer)[]) => {
    const input = new PassThrough();
    for (const chunk of chunks) input.write(chunk);
    input.end();
    return readPassword(input);
  };

  test.each([
    ['secret', 'secret'],
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    ['secret\n\n', 'secret\n'],
    [' secret ', ' secret '],
    ['', ''],
  ])('that writes %j means %j', async (written, password) => {
    expect(await piped(written)).toBe(password);
  });

  test('may write a character in two pieces', async () => {
    const bytes = Buffer.from('ä');
    expect(await piped(bytes.subarray(0, 1), bytes.subarray(1))).toBe('ä');
  });

  test('that writes without end is not listened to for ever', async () => {
    const input = new PassThrough();
    const answer = readPassword(input);
    for (let count = 0; count < 5; count++) input.write('a'.repeat(1024));
    expect((await answer).length).toBeGreaterThan(4096);
    expect(input.destroyed).toBe(true);
  });
});
