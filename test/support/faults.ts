// What a fake server can be told to do wrong, and the table that finds what applies to a request.
import type { IncomingHttpHeaders } from 'node:http';
import type { Gate } from './gate.ts';

export type RouteKind = 'ping' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'token' | 'cdn' | 'other';

export type FaultyRequest = {
  readonly method: string;
  readonly kind: RouteKind;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
};

export type FaultMatch = {
  readonly method?: string;
  readonly kind?: RouteKind;
  /** A part of the path with its query, or a pattern for it. */
  readonly path?: string | RegExp;
  readonly when?: (request: FaultyRequest) => boolean;
  /** How often it applies before it mends itself; for ever when absent. */
  readonly times?: number;
};

export type FaultEffect = {
  /** The round trip: every answer begins that much later. */
  readonly delayMs?: number;
  /** As `delayMs`, once a connection more: its handshake. */
  readonly connectDelayMs?: number;
  readonly holdHeaders?: Gate;
  /** Holds the body once `after` bytes of this answer have left; negative counts from the end of the answer. */
  readonly holdBody?: { readonly after: number; readonly gate: Gate };
  readonly bytesPerSecond?: number;
  /** Closes the connection in order (FIN) after that many body bytes. */
  readonly dropAfter?: number;
  /** Resets the connection (RST) after that many body bytes. */
  readonly resetAfter?: number;
  /** After that many body bytes of this answer nothing more comes, and the connection stays open. */
  readonly stallAfter?: number;
  /** Sends the body chunked and ends it in order after that many bytes, as if they were all. */
  readonly truncateAfter?: number;
  /** Accepts the request and closes without a single byte of an answer. */
  readonly hangUp?: boolean;
  /** The position in the whole content, so a resumed answer lies about the same byte. */
  readonly flipByteAt?: number;
  /** Another value for Docker-Content-Digest; `null` leaves the header out. */
  readonly dockerContentDigest?: string | null;
  /** Another value for Content-Type; `null` leaves the header out. */
  readonly contentType?: string | null;
  /** Sends the body chunked, without Content-Length. */
  readonly chunked?: boolean;
  /** Compresses the body and says so, asked or not. */
  readonly gzip?: boolean;
  /** Ignores Range and answers 200. */
  readonly noRanges?: boolean;
  /** Never ends the body (chunked): for readers that have to be bounded. */
  readonly endless?: boolean;
  readonly status?: number;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Answers 307 to this address. */
  readonly redirect?: string;
};

export type ActiveFault = { readonly hits: number; remove(): void };

type FaultRow = { readonly match: FaultMatch; readonly effect: FaultEffect; hits: number };

export class FaultTable {
  #rows: FaultRow[] = [];

  add(match: FaultMatch, effect: FaultEffect): ActiveFault {
    const row: FaultRow = { match, effect, hits: 0 };
    this.#rows.push(row);
    return {
      get hits() {
        return row.hits;
      },
      remove: () => {
        this.#rows = this.#rows.filter((other) => other !== row);
      },
    };
  }

  clear(): void {
    this.#rows = [];
  }

  /** All that matches, merged; what was added later wins. Counts as a hit. */
  apply(request: FaultyRequest): FaultEffect {
    const rows = this.#rows.filter(({ match, hits }) => hits < (match.times ?? Infinity) && matches(match, request));
    for (const row of rows) row.hits += 1;
    return Object.assign({}, ...rows.map((row) => row.effect));
  }
}

function matches({ method, kind, path, when }: FaultMatch, request: FaultyRequest): boolean {
  if (when?.(request) === false) return false;
  if (method !== undefined && method !== request.method) return false;
  if (kind !== undefined && kind !== request.kind) return false;
  if (path === undefined) return true;
  return typeof path === 'string' ? request.path.includes(path) : path.test(request.path);
}

/** The ways registries refuse, in their own words. */
export const refusals = {
  unauthorized: oci(401, 'UNAUTHORIZED', 'authentication required'),
  denied: oci(403, 'DENIED', 'requested access to the resource is denied'),
  notFound: oci(404, 'MANIFEST_UNKNOWN', 'manifest unknown'),
  pullLimit: oci(429, 'TOOMANYREQUESTS', 'You have reached your unauthenticated pull rate limit.'),
  abuseLimit: { status: 429, contentType: 'text/plain', body: 'Too Many Requests (HAP429).\n' },
  serverError: { status: 500, contentType: 'text/plain', body: 'Internal Server Error\n' },
  unavailable: { status: 503, contentType: 'text/html', body: '<html><body>503 Service Unavailable</body></html>' },
  html: { status: 200, contentType: 'text/html', body: '<html><body>Please log in to the guest network</body></html>' },
} as const satisfies Record<string, FaultEffect>;

function oci(status: number, code: string, message: string): FaultEffect {
  return { status, contentType: 'application/json', body: JSON.stringify({ errors: [{ code, message }] }) };
}
