// Globs over names and paths: `*` is anything within one part between slashes, `**` anything, the rest is literal.

const oneStar = '*';
const twoStars = '**';

/** Whether the whole of a text matches. Time grows with pattern times text and no faster, whoever wrote them. */
export function compileGlob(pattern: string): (text: string) => boolean {
  const steps = pattern.match(/\*+|[^*]/g)?.map((step) => (step.length > 1 ? twoStars : step)) ?? [];
  return (text) => {
    // Every place in the pattern that the text so far may have led to, as a regular expression's automaton has it.
    let places = reachedFrom(steps, new Set([0]));
    for (let position = 0; position < text.length && places.size > 0; position++) {
      const character = text.charAt(position);
      const next = new Set<number>();
      for (const place of places) {
        const step = steps[place];
        if (step === twoStars || (step === oneStar && character !== '/')) next.add(place);
        else if (step === character && step !== oneStar) next.add(place + 1);
      }
      places = reachedFrom(steps, next);
    }
    return places.has(steps.length);
  };
}

/** With the places behind stars that stand for nothing; a `Set` also visits what is added on the way. */
function reachedFrom(steps: readonly string[], places: Set<number>): Set<number> {
  for (const place of places) {
    const step = steps[place];
    if (step === oneStar || step === twoStars) places.add(place + 1);
  }
  return places;
}
