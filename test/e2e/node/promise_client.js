// SPDX-License-Identifier: MIT
// The work of an application that uses the npm clients `fdfs` or
// `fastdfs-client` (one promise interface). Prints what it did as JSON.
// node promise_client.js MODULE HOST PORT DIRECTORY
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');

const [moduleName, host, port, dir] = process.argv.slice(2);
const FdfsClient = require(moduleName);
const quiet = { log() {}, debug() {}, info() {}, warn() {}, error() {} };
const client = new FdfsClient({
  trackers: [{ host, port: Number(port) }],
  timeout: 10000,
  defaultExt: 'dat',
  charset: 'utf8',
  logger: quiet,
});

async function fetch(id, options) {
  const target = path.join(dir, `got-${process.hrtime.bigint()}`);
  const stream = fs.createWriteStream(target);
  const ended = new Promise((resolve) => stream.on('close', resolve));
  await client.download(id, Object.assign({ target: stream }, options));
  stream.end();
  await ended;
  return fs.readFileSync(target);
}

async function main() {
  const file = path.join(dir, 'picture.jpg');
  const content = fs.readFileSync(file);

  const byName = await client.upload(file);
  const byBuffer = await client.upload(content, { ext: 'bin' });
  const byStream = await client.upload(fs.createReadStream(file), {
    size: content.length,
    ext: 'jpg',
  });
  const inGroup = await client.upload(Buffer.from('in a group'), {
    group: 'group1',
    ext: 'txt',
  });
  const byDefault = await client.upload(Buffer.from('no extension given'));
  for (const id of [byName, byBuffer, byStream]) {
    assert.ok((await fetch(id)).equals(content), `content of ${id}`);
  }
  const part = await fetch(byName, { offset: 100, bytes: 50 });
  assert.ok(part.equals(content.subarray(100, 150)));

  const info = await client.getFileInfo(byName);
  assert.strictEqual(Number(info.size), content.length);
  assert.ok(Math.abs(info.timestamp - Date.now() / 1000) < 120);

  await client.setMetaData(byName, { author: 'lin', width: '1024' });
  await client.setMetaData(byName, { width: '2048', dept: 'x' }, 'M');
  assert.deepStrictEqual(await client.getMetaData(byName), {
    author: 'lin',
    dept: 'x',
    width: '2048',
  });
  await client.setMetaData(byName, { only: 'one' }, 'O');
  assert.deepStrictEqual(await client.getMetaData(byName), { only: 'one' });

  const log = await client.upload(Buffer.from('first '), {
    method: 'uploadAppender',
    ext: 'log',
  });
  await client.upload(Buffer.from('second'), { method: 'append', fileId: log });
  await client.upload(Buffer.from('FIRST'), {
    method: 'modify',
    fileId: log,
    offset: 0,
  });
  assert.strictEqual((await fetch(log)).toString(), 'FIRST second');

  await client.del(byStream);
  await assert.rejects(client.getFileInfo(byStream), (err) => err.code === 2);
  await assert.rejects(client.del(byStream), (err) => err.code === 2);

  console.log(
    JSON.stringify({ byName, byBuffer, byStream, inGroup, byDefault, log })
  );
}

main().then(
  () => process.exit(0),
  (err) => {
    console.error(err);
    process.exit(1);
  }
);
