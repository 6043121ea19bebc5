// Whether the claims of a token are those that the configuration asks for.
import { compileGlob } from '../oci/glob.ts';

type Claims = Readonly<Record<string, unknown>>;

/** Each name must lead to a claim that its glob matches; of a list, any element. */
export function matchesClaims(claims: Claims, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, glob]) => {
    const matches = compileGlob(glob);
    return textsOf(claimAt(claims, name)).some(matches);
  });
}

/** By the whole name, else inside of the claim that the name begins with: `realm_access.roles`, `kubernetes.io.namespace`. */
function claimAt(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const outer = name.slice(0, dot);
    const inner = Object.hasOwn(claims, outer) ? claims[outer] : undefined;
    const found = isObject(inner) ? claimAt(inner, name.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function textsOf(claim: unknown): string[] {
  return [claim].flat().flatMap((value) => {
    if (typeof value === 'string') return [value];
    return typeof value === 'number' || typeof value === 'boolean' ? [String(value)] : [];
  });
}

function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
