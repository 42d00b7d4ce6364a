/** Epoch seconds with milliseconds as a fraction, as timestamps travel (spec section 1.1). */
export function toSeconds(milliseconds: number): number {
  return milliseconds / 1000;
}

export function toSecondsOrNull(milliseconds: number | null): number | null {
  return milliseconds === null ? null : toSeconds(milliseconds);
}
