import 'reflect-metadata';
import { createPrivateKey, X509Certificate as NodeCertificate, webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as x509 from '@peculiar/x509';
import { ensureDirectory, writeFileDurably } from '../blobs/durable.ts';
import type { Clock } from '../model/clock.ts';

/** What the TLS listener presents. PEM. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Where the certificate of the endpoints comes from. */
export interface Certificates {
  /** The certificate clients have to trust: the local CA, or the given chain. */
  readonly caCertificatePath: string;
  /** The same as PEM. */
  authority(): string;
  current(): ServerCertificate;
  /** Makes or reads a newer certificate when it is time to; true when {@link current} changed. */
  renew(): Promise<boolean>;
}

export interface LocalCertificatesOptions {
  /** Holds `ca.pem`, `ca.key`, `endpoint.pem` and `endpoint.key`; keys have mode 0600. */
  readonly directory: string;
  /** Domain below which every microVM has its host name. */
  readonly domain: string;
  readonly clock: Pick<Clock, 'now'>;
}

const dayMs = 24 * 3600 * 1000;
const caLifetimeDays = 3650;
const leafLifetimeDays = 90;
const renewBeforeDays = 30;
/** Clients with a slow clock must not refuse a certificate made a moment ago. */
const backdateMs = 3600 * 1000;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/**
 * A certificate authority of this server alone, made at the first start, and a wildcard certificate below it
 * for the endpoints, renewed before it expires.
 */
export async function openLocalCertificates(options: LocalCertificatesOptions): Promise<Certificates> {
  await ensureDirectory(options.directory);
  const at = (name: string): string => path.join(options.directory, name);
  const authority = await openAuthority(at('ca.pem'), at('ca.key'), options.clock.now());
  let leaf = await readPair(at('endpoint.pem'), at('endpoint.key'));

  async function renew(): Promise<boolean> {
    const now = options.clock.now();
    if (leaf !== undefined && isGood(leaf, authority.certificate, options.domain, now)) return false;
    const made = await makeLeaf(authority, options.domain, now);
    await writeFileDurably(at('endpoint.key'), made.privateKey, 0o600);
    await writeFileDurably(at('endpoint.pem'), made.certificate, 0o644);
    leaf = made;
    return true;
  }

  await renew();
  return {
    caCertificatePath: at('ca.pem'),
    authority: () => `${authority.certificate.toString('pem')}\n`,
    current() {
      if (leaf === undefined) throw new Error('no endpoint certificate');
      return leaf;
    },
    renew,
  };
}

/**
 * Certificate and key made elsewhere; read again by {@link Certificates.renew}.
 * @throws {Error} naming the files: they are not there, do not belong together, or are not for the domain
 */
export async function openGivenCertificates(files: {
  /** The certificate and what it was signed by, in this order. */
  readonly certificatePath: string;
  readonly privateKeyPath: string;
  /** Domain below which every microVM has its host name. */
  readonly domain: string;
}): Promise<Certificates> {
  const { certificatePath, privateKeyPath, domain } = files;
  async function read(): Promise<ServerCertificate> {
    const pair = await readPair(certificatePath, privateKeyPath).catch((error: unknown) => {
      throw new Error(`${certificatePath} or ${privateKeyPath} cannot be read`, { cause: error });
    });
    if (pair === undefined) {
      throw new Error(
        `${certificatePath} and ${privateKeyPath} are not a certificate and its key: one is missing, or they do not belong together`,
      );
    }
    if (new NodeCertificate(pair.certificate).checkHost(`any.${domain}`) === undefined) {
      throw new Error(`the certificate in ${certificatePath} is not for *.${domain}`);
    }
    return pair;
  }
  let pair = await read();
  return {
    caCertificatePath: certificatePath,
    authority: () => pair.certificate,
    current: () => pair,
    async renew() {
      const next = await read();
      const changed = next.certificate !== pair.certificate;
      pair = next;
      return changed;
    },
  };
}

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly privateKey: CryptoKey;
}

async function openAuthority(certificateFile: string, keyFile: string, now: number): Promise<Authority> {
  const stored = await readPair(certificateFile, keyFile);
  if (stored !== undefined) {
    const der = x509.PemConverter.decodeFirst(stored.privateKey);
    const privateKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
    const certificate = new x509.X509Certificate(stored.certificate);
    if (certificate.notAfter.getTime() > now + leafLifetimeDays * dayMs) return { certificate, privateKey };
  }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // Browsers list authorities by name: a second server on this machine must be told apart.
    name: [{ O: ['Dormouse'] }, { CN: [`Dormouse local CA ${serialNumber().slice(0, 8)}`] }],
    serialNumber: serialNumber(),
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + caLifetimeDays * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  // The key first: a crash in between leaves a key without a certificate, and both are made anew.
  await writeFileDurably(keyFile, await exportKey(keys.privateKey), 0o600);
  await writeFileDurably(certificateFile, `${certificate.toString('pem')}\n`, 0o644);
  return { certificate, privateKey: keys.privateKey };
}

async function makeLeaf(authority: Authority, domain: string, now: number): Promise<ServerCertificate> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ CN: [`*.${domain}`] }],
    issuer: authority.certificate.subjectName,
    serialNumber: serialNumber(),
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + leafLifetimeDays * dayMs),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: `*.${domain}` },
        { type: 'dns', value: domain },
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate),
    ],
  });
  return {
    certificate: `${certificate.toString('pem')}\n${authority.certificate.toString('pem')}\n`,
    privateKey: await exportKey(keys.privateKey),
  };
}

function isGood(
  pair: ServerCertificate,
  authority: x509.X509Certificate,
  domain: string,
  now: number,
): boolean {
  const leaf = new NodeCertificate(pair.certificate);
  return (
    leaf.validToDate.getTime() - now > renewBeforeDays * dayMs &&
    leaf.checkHost(`any.${domain}`) !== undefined &&
    leaf.checkHost(domain) !== undefined &&
    leaf.verify(new NodeCertificate(authority.toString('pem')).publicKey)
  );
}

/** Certificate and key, or undefined when one is missing or they do not belong together. */
async function readPair(certificateFile: string, keyFile: string): Promise<ServerCertificate | undefined> {
  try {
    const [certificate, privateKey] = await Promise.all([
      readFile(certificateFile, 'utf8'),
      readFile(keyFile, 'utf8'),
    ]);
    const matches = new NodeCertificate(certificate).checkPrivateKey(createPrivateKey(privateKey));
    return matches ? { certificate, privateKey } : undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}

/** A positive 127-bit number, as certificates want it. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
