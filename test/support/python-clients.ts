import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Programs of the virtual environment that `scripts/python-clients` makes, or why there is none. */
export type PythonClients =
  | { readonly skip: false; readonly python: string; readonly aws: string }
  | { readonly skip: string };

/** boto3 and the AWS CLI of the Python package index, installed at first use. */
export async function pythonClients(): Promise<PythonClients> {
  try {
    await run(path.join(root, 'scripts', 'python-clients'));
  } catch (error) {
    const { stderr = '', message } = error as { readonly stderr?: string; readonly message: string };
    return { skip: stderr.trim() || message };
  }
  const at = (name: string): string => path.join(root, 'build', 'python-clients', 'bin', name);
  return { skip: false, python: at('python'), aws: at('aws') };
}
