// What of an endpoint may be asked after something of it was late: the smallest part that explains it rests, no more.
import { describe, expect, test } from 'vitest';
import { Circuit, type Permit } from '../../src/upstream/circuit.ts';
import { Health } from '../../src/upstream/health.ts';
import { UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';

const failed = (failure: UpstreamFailure) => new UpstreamError(failure, `it is ${failure}`);
const second = 1000;
const minute = 60 * second;

class Scene {
  readonly circuit: Circuit;
  readonly health: Health;
  #now = 1_000_000;

  constructor() {
    const now = () => this.#now;
    this.circuit = new Circuit({ now });
    this.health = new Health({ circuit: this.circuit, now });
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  /** Of `path target`. */
  enter(thing: string): Permit | undefined {
    const [path = '', target = 'manifests/latest'] = thing.split(' ');
    return this.health.enter({ path, target });
  }

  asked(thing: string): Permit {
    const permit = this.enter(thing);
    if (!permit) throw new Error(`${thing} rests`);
    return permit;
  }

  answer(thing: string): void {
    this.asked(thing).succeeded();
  }

  /** Asked, and waited for in vain. */
  late(thing: string): void {
    const permit = this.asked(thing);
    this.pass(10 * second);
    permit.failed(failed('timeout'));
  }

  rests(...things: string[]): boolean[] {
    return things.map((thing) => {
      const permit = this.enter(thing);
      permit?.released();
      return permit === undefined;
    });
  }
}

describe('an endpoint that answered nothing lately', () => {
  test.each([
    ['ever', () => {}],
    ['for a minute', (at: Scene) => at.answer('good/app')],
  ])('is shut by the first thing that is late: %s', (_, before) => {
    const at = new Scene();
    before(at);
    at.pass(minute);
    at.late('slow/app');
    expect(at.circuit.isOpen).toBe(true);
    expect(at.rests('slow/app', 'good/app')).toEqual([true, true]);
  });
});

describe('an endpoint that answered something lately', () => {
  test('goes on with all but the thing that was late, and everybody who asks for that is told at once', () => {
    const at = new Scene();
    at.answer('good/app');
    at.late('slow/app manifests/latest');
    expect(at.circuit.isOpen).toBe(false);
    expect(at.rests('slow/app manifests/latest', 'slow/app manifests/v2', 'good/app')).toEqual([true, false, false]);
    expect(at.health.objection({ path: 'slow/app', target: 'manifests/latest' })).toMatchObject({
      problem: 'it is timeout',
      retryInMs: expect.toSatisfy((ms: number) => ms >= 4000 && ms <= 5000),
    });
  });

  test('takes the pages and filters of a list for one thing', () => {
    const at = new Scene();
    at.answer('good/app');
    at.late('slow/app tags/list?n=100');
    expect(at.rests('slow/app tags/list?n=5&last=a', 'slow/app manifests/latest')).toEqual([true, false]);
  });

  test('is asked for the late thing by one now and then, ever more seldom, until that answers', () => {
    const at = new Scene();
    at.answer('good/app');
    at.late('slow/app');
    for (const longest of [10, 20, 40, 60, 60]) {
      at.pass(minute);
      at.answer('good/app');
      const probe = at.asked('slow/app');
      expect(at.rests('slow/app')).toEqual([true]);
      probe.failed(failed('timeout'));
      at.pass(longest * second * 0.79);
      expect(at.rests('slow/app')).toEqual([true]);
    }
    at.pass(minute);
    at.answer('slow/app');
    expect(at.rests('slow/app')).toEqual([false]);
    at.answer('good/app');
    at.late('slow/app');
    at.pass(5 * second);
    expect(at.rests('slow/app')).toEqual([false]);
  });

  test.each<[string, string, string[], boolean[]]>([
    [
      'a repository',
      'slow/app manifests/v2',
      ['slow/app manifests/v3', 'slow/other', 'good/app'],
      [true, false, false],
    ],
    ['an owner', 'slow/other', ['slow/app manifests/v3', 'slow/third', 'good/app'], [true, true, false]],
    ['the endpoint', 'other/app', ['slow/third', 'good/app'], [true, true]],
  ])('rests as far as two late things have in common: %s', (what, next, things, rest) => {
    const at = new Scene();
    at.answer('good/app');
    at.late('slow/app manifests/v1');
    at.late(next);
    expect(at.rests(...things)).toEqual(rest);
    expect(at.circuit.isOpen).toBe(what === 'the endpoint');
  });

  test('is not shut by names without number of one owner', () => {
    const at = new Scene();
    at.answer('good/app');
    const late: number[] = [];
    for (let index = 0; index < 600; index++) {
      if (at.rests(`slow/app${index}`)[0]) {
        at.pass(second);
        if (index % 10 === 0) at.answer('good/app');
      } else {
        at.late(`slow/app${index}`);
        late.push(index);
      }
      expect(at.circuit.isOpen).toBe(false);
    }
    expect(late.length).toBeLessThan(25);
  });

  test('answers what is asked meanwhile: then nothing but the thing itself hangs', () => {
    const at = new Scene();
    const [one, other] = [at.asked('slow/app'), at.asked('other/app')];
    at.pass(second);
    at.answer('good/app');
    at.pass(9 * second);
    one.failed(failed('timeout'));
    other.failed(failed('timeout'));
    expect(at.circuit.isOpen).toBe(false);
    expect(at.rests('slow/app', 'other/app')).toEqual([true, true]);
  });

  test('was late in one thing only when it answered before the next was', () => {
    const at = new Scene();
    at.answer('good/app');
    for (const slow of ['a/app', 'b/app', 'c/app', 'd/app']) {
      at.late(slow);
      at.answer('good/app');
    }
    expect(at.circuit.isOpen).toBe(false);
  });

  test('remembers a bounded number of late things', () => {
    const at = new Scene();
    at.answer('good/app');
    const late = Array.from({ length: 5000 }, (_, index) => at.asked(`o${index}/app`));
    at.pass(second);
    at.answer('good/app');
    for (const permit of late) permit.failed(failed('timeout'));
    expect(at.rests('o0/app', 'o4999/app')).toEqual([false, true]);
  });
});

describe('a shut endpoint', () => {
  test('is not found out about by what shut it, as long as others may ask', () => {
    const at = new Scene();
    at.late('slow/app');
    at.pass(5 * second);
    expect(at.rests('slow/app', 'good/app')).toEqual([true, false]);
    at.answer('good/app');
    expect(at.circuit.isOpen).toBe(false);
  });

  test('is found out about by what shut it when nobody else asks, after twice the rest', () => {
    const at = new Scene();
    at.late('slow/app');
    at.pass(10 * second);
    at.answer('slow/app');
    expect(at.circuit.isOpen).toBe(false);
    expect(at.rests('slow/app', 'slow/app')).toEqual([false, false]);
  });

  test('cannot be kept shut by one owner’s names, however often they are asked for', () => {
    const at = new Scene();
    let tries = 0;
    for (let index = 0; at.rests('good/app')[0] || index === 0; index++) {
      // Whoever asks for the slow ones is always first.
      if (at.rests(`slow/app${index}`)[0]) at.pass(100);
      else {
        at.late(`slow/app${index}`);
        tries += 1;
      }
    }
    expect(tries).toBeLessThanOrEqual(2);
  });

  test('asks for everything again once something answered: it was all late together', () => {
    const at = new Scene();
    const things = ['a/app', 'b/app', 'c/app'];
    const permits = things.map((thing) => at.asked(thing));
    at.pass(10 * second);
    for (const permit of permits) permit.failed(failed('timeout'));
    at.pass(5 * second);
    expect(at.rests(...things, 'good/app')).toEqual([true, true, true, false]);
    at.answer('good/app');
    expect(at.rests(...things)).toEqual([false, false, false]);
  });
});

describe('a question', () => {
  test.each(['denied', 'unauthorized', 'limited', 'protocol', 'login'] as const)(
    'that ends as %s was answered',
    (failure) => {
      const at = new Scene();
      at.asked('good/app').failed(failed(failure));
      at.late('slow/app');
      expect(at.circuit.isOpen).toBe(false);
    },
  );

  test.each(['unreachable', 'failing'] as const)('that ends as %s is a matter of the endpoint', (failure) => {
    const at = new Scene();
    for (let index = 0; index < 5; index++) at.asked(`good/app${index}`).failed(failed(failure));
    expect(at.circuit.isOpen).toBe(true);
  });

  test('is settled once, and leaves nothing behind when who asked left', () => {
    const at = new Scene();
    at.answer('good/app');
    const permit = at.asked('slow/app');
    permit.released();
    permit.failed(failed('timeout'));
    expect(at.rests('slow/app')).toEqual([false]);
  });
});
