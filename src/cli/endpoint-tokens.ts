import { CreateMicrovmShellAuthTokenCommand } from '@aws-sdk/client-lambda-microvms';
import type { Client } from './client.ts';

/** A token as long as it is good, minted anew before it ends. */
export class RenewedToken {
  readonly #mint: () => Promise<string>;
  #minted: { readonly token: Promise<string>; readonly at: number } | undefined;

  /** @param mint makes a token that is good for five minutes at least */
  constructor(mint: () => Promise<string>) {
    this.#mint = mint;
  }

  async get(): Promise<string> {
    const now = performance.now();
    if (this.#minted === undefined || now - this.#minted.at > renewAfterMs) {
      const minted = { token: this.#mint(), at: now };
      this.#minted = minted;
      minted.token.catch(() => {
        if (this.#minted === minted) this.#minted = undefined;
      });
    }
    return await this.#minted.token;
  }
}

const renewAfterMs = 4 * 60_000;

/** A token that opens the shell of a microVM for a few minutes. */
export async function mintShellToken(client: Client, microvmIdentifier: string): Promise<string> {
  const answer = await (await client.microvms()).send(
    new CreateMicrovmShellAuthTokenCommand({ microvmIdentifier, expirationInMinutes: 5 }),
  );
  return answer.authToken?.['X-aws-proxy-auth'] ?? '';
}
