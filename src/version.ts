import packageJson from '../package.json' with { type: 'json' };

/** Version of Dormouse, from its package. */
export const version: string = packageJson.version;
