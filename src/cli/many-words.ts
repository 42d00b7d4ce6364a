import type { Command } from 'commander';

/** Words that the library looks at; more of them than an engine passes as arguments of one call end in its error. */
const looksAt = 10_000;

/**
 * Lets a command take as many words as Linux passes to a program. What comes after so many is not looked at for
 * options: it belongs to where the last of those before it went.
 * @param command whose options end at its first word
 */
export function takeManyWords(command: Command): Command {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (words) => {
    if (words.length <= looksAt) return parse(words);
    const { operands, unknown } = parse(words.slice(0, looksAt));
    const rest = words.slice(looksAt);
    return unknown.length > 0
      ? { operands, unknown: unknown.concat(rest) }
      : { operands: operands.concat(rest), unknown };
  };
  return command;
}
