let second = 0;
let text = '';

/** The time as a `Date` header has it (RFC 9110, section 5.6.7); made once a second. */
export function dateNow(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    text = new Date(now * 1000).toUTCString();
  }
  return text;
}
