import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { openGivenCertificates, openLocalCertificates } from './certificates.ts';

const day = 24 * 3600 * 1000;

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-ca-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test('the authority is made once, the endpoint certificate is good for every host name', async (t) => {
  const directory = await temporaryDirectory(t);
  const clock = { now: () => Date.now() };
  const made = await openLocalCertificates({ directory, domain: 'microvm.localhost', clock });
  const authority = new X509Certificate(await readFile(made.caCertificatePath));
  const leaf = new X509Certificate(made.current().certificate);
  assert.ok(authority.ca);
  assert.ok(!leaf.ca);
  assert.ok(leaf.verify(authority.publicKey));
  assert.ok(leaf.checkIssued(authority));
  for (const name of ['abc.microvm.localhost', 'microvm.localhost', 'localhost']) {
    assert.ok(leaf.checkHost(name) !== undefined, name);
  }
  assert.ok(leaf.checkIP('127.0.0.1') !== undefined);
  assert.equal(leaf.checkHost('a.b.microvm.localhost'), undefined);
  for (const file of ['ca.key', 'endpoint.key']) {
    assert.equal((await stat(path.join(directory, file))).mode & 0o777, 0o600);
  }
  const again = await openLocalCertificates({ directory, domain: 'microvm.localhost', clock });
  assert.equal(again.current().certificate, made.current().certificate);
  const moved = await openLocalCertificates({ directory, domain: 'vm.example.com', clock });
  assert.ok(new X509Certificate(moved.current().certificate).checkHost('x.vm.example.com') !== undefined);
  assert.equal(await readFile(moved.caCertificatePath, 'utf8'), authority.toString());
});

test('the endpoint certificate is renewed a month before it expires, by the same authority', async (t) => {
  const directory = await temporaryDirectory(t);
  const time = { now: Date.now() };
  const clock = { now: () => time.now };
  const certificates = await openLocalCertificates({ directory, domain: 'microvm.localhost', clock });
  const first = certificates.current().certificate;
  time.now += 59 * day;
  assert.equal(await certificates.renew(), false);
  time.now += 2 * day;
  assert.equal(await certificates.renew(), true);
  const second = new X509Certificate(certificates.current().certificate);
  assert.notEqual(certificates.current().certificate, first);
  assert.ok(second.validToDate.getTime() > time.now + 80 * day);
  assert.ok(second.verify(new X509Certificate(await readFile(certificates.caCertificatePath)).publicKey));
});

test('a half-written pair is made anew', async (t) => {
  const directory = await temporaryDirectory(t);
  const clock = { now: () => Date.now() };
  await openLocalCertificates({ directory, domain: 'microvm.localhost', clock });
  await rm(path.join(directory, 'endpoint.pem'));
  const again = await openLocalCertificates({ directory, domain: 'microvm.localhost', clock });
  assert.ok(new X509Certificate(again.current().certificate).checkHost('microvm.localhost') !== undefined);
});

test('given files are used as they are, and read again on renewal', async (t) => {
  const directory = await temporaryDirectory(t);
  const clock = { now: () => Date.now() };
  const a = await openLocalCertificates({ directory: path.join(directory, 'a'), domain: 'a.test', clock });
  const b = await openLocalCertificates({ directory: path.join(directory, 'b'), domain: 'b.test', clock });
  const renewed = await openLocalCertificates({
    directory: path.join(directory, 'c'),
    domain: 'a.test',
    clock,
  });
  const files = {
    certificatePath: path.join(directory, 'chain.pem'),
    privateKeyPath: path.join(directory, 'key.pem'),
    domain: 'a.test',
  };
  await assert.rejects(openGivenCertificates(files), /not a certificate and its key/);
  await writeFile(files.certificatePath, a.current().certificate);
  await writeFile(files.privateKeyPath, a.current().privateKey);
  const given = await openGivenCertificates(files);
  assert.equal(await given.renew(), false);
  await writeFile(files.certificatePath, b.current().certificate);
  await assert.rejects(given.renew(), /not a certificate and its key/);
  await writeFile(files.privateKeyPath, b.current().privateKey);
  await assert.rejects(given.renew(), /is not for \*\.a\.test/);
  assert.equal(given.current().certificate, a.current().certificate, 'it goes on with what it has');
  await writeFile(files.certificatePath, renewed.current().certificate);
  await writeFile(files.privateKeyPath, renewed.current().privateKey);
  assert.equal(await given.renew(), true);
  assert.equal(given.current().certificate, renewed.current().certificate);
  assert.equal(given.authority(), renewed.current().certificate);
  await writeFile(files.certificatePath, 'no PEM');
  await assert.rejects(given.renew(), /cannot be read/);
});
