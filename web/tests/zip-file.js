// Makes a ZIP archive for tests, the other way round from what the page reads. Checksums are left out; nobody asks them.

/** @param {Record<string, string>} files @param {(bytes: Uint8Array) => Uint8Array} pack short files stay unpacked */
export function zipFile(files, pack) {
  const encode = (text) => new TextEncoder().encode(text);
  const parts = [];
  const central = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const bytes = encode(text);
    const method = bytes.length > 100 ? 8 : 0;
    const packed = method === 8 ? new Uint8Array(pack(bytes)) : bytes;
    const called = encode(name);
    const common = [[20, 2], [0, 2], [method, 2], [0, 4], [0, 4], [packed.length, 4], [bytes.length, 4], [called.length, 2], [0, 2]];
    const local = [...record([[0x04034b50, 4], ...common]), ...called];
    central.push(...record([[0x02014b50, 4], [20, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]), ...called);
    parts.push(...local, ...packed);
    offset += local.length + packed.length;
  }
  const count = Object.keys(files).length;
  const end = record([[0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2], [central.length, 4], [offset, 4], [0, 2]]);
  return new Uint8Array([...parts, ...central, ...end]).buffer;
}

/** Numbers as little-endian bytes. */
function record(fields) {
  return fields.flatMap(([value, size]) => Array.from({ length: size }, (_, i) => (value >>> (8 * i)) & 0xff));
}
