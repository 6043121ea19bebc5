// Finds a secret in a text, plain or in the dress it wears in headers, forms, JSON and addresses.

/** Whether `text` holds the secret plain, as JSON, URL-encoded, or in base64 behind anything and before anything. */
export function holdsSecret(text: string, secret: string): boolean {
  return formsOf(secret).some((form) => text.includes(form));
}

function formsOf(secret: string): string[] {
  const base64 = [0, 1, 2].map((before) => base64Behind(before, secret));
  const inAddresses = base64.flatMap((form) => [
    form.replaceAll('+', '-').replaceAll('/', '_'),
    encodeURIComponent(form),
  ]);
  const json = JSON.stringify(secret).slice(1, -1);
  const form = new URLSearchParams({ s: secret }).toString().slice(2);
  const hex = Buffer.from(secret).toString('hex');
  return [...new Set([secret, json, encodeURIComponent(secret), form, hex, ...base64, ...inAddresses])];
}

/** Those characters that are the same whatever stands around the secret, when `before` bytes of a group precede it. */
function base64Behind(before: number, secret: string): string {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
  return bytes.toString('base64').slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6));
}
