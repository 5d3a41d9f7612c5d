// Drives the page in a real Chromium. `DECLAIM_BIN=path/to/declaim node run.mjs` starts its own servers with the test
// model; `DECLAIM_URL=http://…` uses a running one and skips what would have to kill it. An argument runs only the tests
// whose names contain it. CHROMIUM names another browser; DECLAIM_SHOTS a folder for pictures of failures.

import { OwnServer, runAll } from "./harness.mjs";

import "./speaking.mjs";
import "./listening.mjs";
import "./living.mjs";
import "./resuming.mjs";
import "./trouble.mjs";
import "./using.mjs";
import "./views.mjs";
import "./composing.mjs";
import "./everyone.mjs";
import "./keeping.mjs";
import "./keys.mjs";

const binary = process.env.DECLAIM_BIN;
if (!binary && !process.env.DECLAIM_URL) {
  console.error("set DECLAIM_BIN to the server's binary, or DECLAIM_URL to the address of a running server");
  process.exit(2);
}

const server = binary ? await OwnServer.start(binary) : null;
let tally;
try {
  tally = await runAll({
    server,
    url: server?.url ?? process.env.DECLAIM_URL.replace(/\/$/, ""),
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    only: process.argv[2],
    shots: process.env.DECLAIM_SHOTS,
  });
} finally {
  await server?.stop();
}
console.log(`${tally.passed} passed, ${tally.failed} failed${tally.skipped ? `, ${tally.skipped} skipped` : ""}`);
process.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1);
