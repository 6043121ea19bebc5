// What every reader of a file with images in it finds.

export interface ListedImage {
  readonly image: string;
  /** The one that the file itself asks for. */
  readonly platform?: string | undefined;
  /** In the file, for people: `line 3`, `services.web`. */
  readonly where: string;
}

export interface FoundImages {
  readonly images: readonly ListedImage[];
  /** What could not be told, one line each: where, and why. */
  readonly leftOut: readonly string[];
}
