import { unsupportedFilterPattern } from './logs-error.ts';

/** Whether a message is wanted. */
export type MessageFilter = (message: string) => boolean;

/**
 * Reads a text pattern: every word or quoted phrase has to occur, none with `-` before it may, and of those with
 * `?` at least one has to. Case matters. An empty pattern takes everything.
 * @throws {LogsError} for a JSON, column or expression pattern
 */
export function parseFilterPattern(pattern: string): MessageFilter {
  if (/^\s*[{[%]/.test(pattern)) throw unsupportedFilterPattern();
  const all: string[] = [];
  const none: string[] = [];
  const any: string[] = [];
  for (const [term, sign, phrase, word] of pattern.matchAll(/([-?]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))/g)) {
    const text = phrase?.replaceAll(/\\(.)/g, '$1') ?? word ?? '';
    if (text === '' || (phrase === undefined && term.includes('"'))) throw unsupportedFilterPattern();
    (sign === '-' ? none : sign === '?' ? any : all).push(text);
  }
  return (message) =>
    all.every((text) => message.includes(text)) &&
    !none.some((text) => message.includes(text)) &&
    (any.length === 0 || any.some((text) => message.includes(text)));
}
