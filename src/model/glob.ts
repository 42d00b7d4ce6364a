/**
 * Whether a text matches a pattern in which `*` stands for any text and `?` for any one character. Takes at most
 * the product of both lengths, whatever the pattern.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let from = 0;
  let star = -1;
  let resumeAt = 0;
  while (at < text.length) {
    const wanted = pattern[from];
    if (wanted === '*') {
      star = from;
      resumeAt = at;
      from += 1;
    } else if (wanted === '?' || wanted === text[at]) {
      from += 1;
      at += 1;
    } else if (star !== -1) {
      resumeAt += 1;
      at = resumeAt;
      from = star + 1;
    } else return false;
  }
  while (pattern[from] === '*') from += 1;
  return from === pattern.length;
}
