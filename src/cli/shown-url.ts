// A URL that somebody gave, to be shown: without the login that may stand in it.

/** Of any text that was meant to be one. */
export function shownUrl(text: string): string {
  const at = text.lastIndexOf('@');
  return at === -1 ? text : `(hidden)${text.slice(at)}`;
}
