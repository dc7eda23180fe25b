// SPDX-License-Identifier: MIT
// The work of an application that uses the npm client `fdfs-client`, whose
// functions take callbacks. Prints what it did as JSON.
// node callback_client.js MODULE HOST PORT DIRECTORY
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
  charset: 'utf8',
  logger: quiet,
});

function call(name, ...args) {
  return new Promise((resolve, reject) => {
    client[name](...args, (err, value) => (err ? reject(err) : resolve(value)));
  });
}

async function fetch(id, options) {
  const target = path.join(dir, `got-${process.hrtime.bigint()}`);
  const stream = fs.createWriteStream(target);
  const ended = new Promise((resolve) => stream.on('close', resolve));
  await call('download', id, Object.assign({ target: stream }, options));
  stream.end();
  await ended;
  return fs.readFileSync(target);
}

async function main() {
  const file = path.join(dir, 'picture.jpg');
  const content = fs.readFileSync(file);

  const byName = await call('upload', file, {});
  const byBuffer = await call('upload', content, { ext: 'bin' });
  const byStream = await call('upload', fs.createReadStream(file), {
    size: content.length,
    ext: 'jpg',
  });
  const inGroup = await call('upload', Buffer.from('in a group'), {
    group: 'group1',
    ext: 'txt',
  });
  for (const id of [byName, byBuffer, byStream]) {
    assert.ok((await fetch(id)).equals(content), `content of ${id}`);
  }
  const part = await fetch(byName, { offset: 100, bytes: 50 });
  assert.ok(part.equals(content.subarray(100, 150)));

  const info = await call('getFileInfo', byName);
  assert.strictEqual(Number(info.size), content.length);

  await call('setMetaData', byName, { author: 'lin', width: '1024' }, 'O');
  await call('setMetaData', byName, { width: '2048', dept: 'x' }, 'M');
  assert.deepStrictEqual(await call('getMetaData', byName), {
    author: 'lin',
    dept: 'x',
    width: '2048',
  });

  await call('del', byStream);
  await assert.rejects(call('getFileInfo', byStream));

  console.log(JSON.stringify({ byName, byBuffer, byStream, inGroup }));
}

main().then(
  () => process.exit(0),
  (err) => {
    console.error(err);
    process.exit(1);
  }
);
