// Runs a wasm32-wasip1 program under node with this repository as its file system, and passes its exit code on.
//
//     node .ci/wasi.mjs PROGRAM.wasm [ARGUMENT…]
//
// The program sees the repository's root as `/` and nothing else: no environment, no other directory.

import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { WASI } from "node:wasi";

const [program, ...programArguments] = process.argv.slice(2);
if (program === undefined) {
  console.error("usage: node .ci/wasi.mjs PROGRAM.wasm [ARGUMENT...]");
  process.exit(2);
}

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const wasi = new WASI({
  version: "preview1",
  args: [program, ...programArguments],
  env: {},
  preopens: { "/": repository },
  returnOnExit: true,
});
const module = await WebAssembly.compile(await readFile(program));
const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
process.exitCode = wasi.start(instance);
