// Who may ask something that fails: everybody, one at a time, or nobody yet.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Circuit, type CircuitOptions, type Permit } from '../../src/upstream/circuit.ts';
import { UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';

const failed = (failure: UpstreamFailure, code?: string) =>
  new UpstreamError(failure, `it is ${failure}`, { cause: code === undefined ? undefined : { code } });
const late = failed('timeout');
const refused = failed('unreachable', 'ECONNREFUSED');
const hungUp = failed('unreachable', 'UND_ERR_SOCKET');
const broken = failed('failing');

function scene(options: CircuitOptions = {}) {
  let now = 1_000_000;
  const changes: boolean[] = [];
  const circuit = new Circuit({ now: () => now, onChange: (isOpen) => changes.push(isOpen), ...options });
  return {
    circuit,
    changes,
    pass: (ms: number) => {
      now += ms;
    },
    enter(): Permit {
      const permit = circuit.enter();
      if (!permit) throw new Error('no leave');
      return permit;
    },
    fail(times: number, error: UpstreamError, about: (index: number) => string | undefined = () => undefined) {
      for (let index = 0; index < times; index++) this.enter().failed(error, about(index));
    },
  };
}

describe('a circuit', () => {
  test('lets everybody in while nothing fails', () => {
    const at = scene();
    for (let index = 0; index < 100; index++) at.enter();
    expect([at.circuit.isOpen, at.circuit.retryInMs, at.circuit.problem]).toEqual([false, undefined, undefined]);
  });

  test('opens at once on a time-out, and says why and until when', () => {
    const at = scene();
    at.enter().failed(late, 'one thing');
    expect(at.circuit.enter()).toBeUndefined();
    expect(at.circuit.isOpen).toBe(true);
    expect(at.circuit.problem).toBe('it is timeout');
    expect(at.circuit.retryInMs).toBeGreaterThanOrEqual(4000);
    expect(at.circuit.retryInMs).toBeLessThanOrEqual(5000);
    expect(at.changes).toEqual([true]);
  });

  test('does not take for hanging what answered others while one waited', () => {
    const at = scene();
    const slow = at.enter();
    at.pass(10);
    at.enter().succeeded();
    at.pass(10_000);
    slow.failed(late, 'one thing');
    expect(at.circuit.isOpen).toBe(false);
  });

  test.each([
    ['without a connection', refused, undefined],
    ['without a connection, whatever it was about', refused, () => 'one thing'],
    ['with 5xx about several things', broken, (index: number) => `thing ${index % 2}`],
    ['by hanging up about several things', hungUp, (index: number) => `thing ${index % 2}`],
  ] as const)('opens after five failures in a row: %s', (_, error, about) => {
    const at = scene();
    at.fail(4, error, about);
    expect(at.circuit.isOpen).toBe(false);
    at.fail(1, error, about);
    expect(at.circuit.isOpen).toBe(true);
  });

  test.each([
    ['5xx', broken],
    ['hanging up', hungUp],
  ])('stays closed however often one thing ends with %s', (_, error) => {
    const at = scene();
    at.fail(50, error, () => 'one broken blob');
    expect(at.circuit.isOpen).toBe(false);
  });

  test('counts failures in a row only', () => {
    const at = scene();
    for (let index = 0; index < 20; index++) {
      at.fail(4, refused);
      at.enter().succeeded();
    }
    expect(at.circuit.isOpen).toBe(false);
    expect(at.circuit.problem).toBeUndefined();
  });

  test.each(['denied', 'unauthorized', 'limited', 'protocol', 'login'] as const)(
    'takes %s for an answer',
    (failure) => {
      const at = scene();
      at.fail(50, failed(failure));
      expect(at.circuit.isOpen).toBe(false);
    },
  );

  test('learns nothing from who left', () => {
    const at = scene();
    at.fail(4, refused);
    for (let index = 0; index < 10; index++) at.enter().released();
    expect(at.circuit.isOpen).toBe(false);
    at.fail(1, refused);
    expect(at.circuit.isOpen).toBe(true);
  });

  test('hears how a question ended only once', () => {
    const at = scene();
    const permit = at.enter();
    for (let index = 0; index < 10; index++) permit.failed(refused);
    expect(at.circuit.isOpen).toBe(false);
    permit.failed(late);
    expect(at.circuit.isOpen).toBe(false);
  });
});

describe('an open circuit', () => {
  function opened(options?: CircuitOptions) {
    const at = scene(options);
    at.enter().failed(late);
    return at;
  }

  test('lets one in after its rest, and everybody once that one was answered', () => {
    const at = opened();
    at.pass(3999);
    expect(at.circuit.mayEnter).toBe(false);
    at.pass(1001);
    const probe = at.enter();
    expect(at.circuit.enter()).toBeUndefined();
    expect(at.circuit.retryInMs).toBe(1000);
    probe.succeeded();
    expect(at.circuit.isOpen).toBe(false);
    at.enter();
    at.enter();
    expect(at.changes).toEqual([true, false]);
  });

  test('lets another in when the one left', () => {
    const at = opened();
    at.pass(5000);
    at.enter().released();
    at.enter().succeeded();
    expect(at.circuit.isOpen).toBe(false);
  });

  test('rests twice as long each time the one fails, up to a minute, whatever it failed of', () => {
    const at = opened();
    const rests: number[] = [];
    for (const error of [late, broken, refused, hungUp, late, late]) {
      at.pass(60_000);
      at.enter().failed(error, 'one thing');
      rests.push(at.circuit.retryInMs ?? 0);
    }
    for (const [index, longest] of [10_000, 20_000, 40_000, 60_000, 60_000, 60_000].entries()) {
      expect(rests[index]).toBeGreaterThanOrEqual(longest * 0.8);
      expect(rests[index]).toBeLessThanOrEqual(longest);
    }
    expect(at.changes).toEqual([true]);
  });

  test('begins with a short rest again after a success', () => {
    const at = opened();
    at.pass(5000);
    at.enter().failed(late);
    at.pass(10_000);
    at.enter().succeeded();
    at.enter().failed(late);
    expect(at.circuit.retryInMs).toBeLessThanOrEqual(5000);
  });

  test('is closed by an answer that was on its way when it opened', () => {
    const at = scene();
    const slow = at.enter();
    at.fail(5, refused);
    slow.succeeded();
    expect(at.circuit.isOpen).toBe(false);
  });

  test('is not opened for longer by failures that were on their way', () => {
    const at = scene();
    const slow = Array.from({ length: 20 }, () => at.enter());
    at.enter().failed(late);
    for (const permit of slow) permit.failed(late);
    expect(at.circuit.retryInMs).toBeLessThanOrEqual(5000);
  });

  test('opened for a time is closed by nothing that was asked before', () => {
    const at = scene();
    const before = at.enter();
    at.circuit.open(90_000, 'too many requests');
    before.succeeded();
    expect([at.circuit.isOpen, at.circuit.retryInMs, at.circuit.problem]).toEqual([true, 90_000, 'too many requests']);
    at.pass(90_000);
    at.enter().succeeded();
    expect(at.circuit.isOpen).toBe(false);
  });

  test('opened from outside without a time doubles its rests as well', () => {
    const at = scene({ restMs: 60_000, longestRestMs: 900_000 });
    const rests = [1, 2, 3, 4, 5, 6].map(() => {
      at.circuit.open();
      return at.circuit.retryInMs ?? 0;
    });
    for (const [index, longest] of [60, 120, 240, 480, 900, 900].entries()) {
      expect(rests[index]).toBeGreaterThanOrEqual(longest * 800);
      expect(rests[index]).toBeLessThanOrEqual(longest * 1000);
    }
  });

  test('rests as long as most of many ask that were asked side by side, and longer only for who finds out', () => {
    const at = scene();
    const many = Array.from({ length: 10 }, () => at.enter());
    for (const permit of many) at.circuit.open(undefined, 'too many requests', permit);
    expect(at.circuit.retryInMs).toBeLessThanOrEqual(5000);
    at.circuit.open(8000, 'too many requests', many[0]);
    at.circuit.open(1000, 'too many requests', many[1]);
    expect(at.circuit.retryInMs).toBe(8000);
    at.pass(8000);
    const probe = at.enter();
    at.circuit.open(undefined, 'too many requests', probe);
    probe.released();
    expect(at.circuit.retryInMs).toBeGreaterThanOrEqual(8000);
    expect(at.circuit.retryInMs).toBeLessThanOrEqual(10_000);
  });
});

test('whatever happens, an open circuit lets one in at a time, and one that answers closes it', () => {
  const step = fc.oneof(
    fc.constant('enter' as const),
    fc.record({ settle: fc.nat(), how: fc.constantFrom('succeeded', 'late', 'refused', 'broken', 'released') }),
    fc.record({ passMs: fc.nat({ max: 100_000 }) }),
    fc.record({ openMs: fc.option(fc.nat({ max: 100_000 }), { nil: undefined }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const at = scene();
      const running: { permit: Permit; isProbe: boolean }[] = [];
      for (const one of steps) {
        if (one === 'enter') {
          const isProbe = at.circuit.isOpen;
          const permit = at.circuit.enter();
          if (permit) running.push({ permit, isProbe });
        } else if ('passMs' in one) at.pass(one.passMs);
        else if ('openMs' in one) at.circuit.open(one.openMs);
        else {
          const [{ permit } = { permit: undefined }] = running.splice(one.settle % Math.max(1, running.length), 1);
          if (one.how === 'succeeded') permit?.succeeded();
          else if (one.how === 'released') permit?.released();
          else permit?.failed({ late, refused, broken }[one.how as 'late'], 'a thing');
        }
        if (at.circuit.isOpen) expect(at.circuit.retryInMs).toBeGreaterThanOrEqual(0);
        else expect(at.circuit.mayEnter).toBe(true);
      }
      for (const { permit } of running) permit.released();
      at.pass(1_000_000);
      at.enter().succeeded();
      expect(at.circuit.isOpen).toBe(false);
      expect(at.changes.filter((isOpen, index) => isOpen === at.changes[index - 1])).toEqual([]);
    }),
  );
});
