// The current request as a command or a program that anybody can run elsewhere. Pure text; quoting is the whole matter.

/** In single quotes for a POSIX shell. */
export function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A Python literal. JSON is one but for three words and characters that Python wants spelled in pairs, which it reads too. */
export function pythonLiteral(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  return JSON.stringify(value);
}

/** @param {string} origin such as `http://localhost:8004` */
export function asCurl(origin, request) {
  const extension = request.output_format ?? "wav";
  return [
    `curl -sS --fail-with-body ${origin}/tts \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -d ${shellQuoted(JSON.stringify(request))} \\`,
    `  -o speech.${extension}`,
  ].join("\n");
}

/** The job-queue way, which outlives both ends. */
export function asPython(origin, request) {
  const fields = Object.entries(request).map(([name, value]) => `    ${JSON.stringify(name)}: ${pythonLiteral(value)},`);
  return [
    "import json, time, urllib.request",
    "",
    `server = ${JSON.stringify(origin)}`,
    "request = {",
    ...fields,
    "}",
    "",
    "def ask(path, body=None):",
    "    data = None if body is None else json.dumps(body).encode()",
    '    call = urllib.request.Request(server + path, data, {"Content-Type": "application/json"})',
    "    with urllib.request.urlopen(call) as answer:",
    "        return answer.read()",
    "",
    'job = json.loads(ask("/tts/enqueue", request))',
    "while True:",
    '    status = json.loads(ask(job["status_url"]))',
    '    if status["status"] in ("completed", "failed", "cancelled"):',
    "        break",
    "    time.sleep(1)",
    'if status["status"] != "completed":',
    '    raise SystemExit(status.get("error") or status["status"])',
    `with open("speech.${request.output_format ?? "wav"}", "wb") as file:`,
    '    file.write(ask(job["result_url"]))',
    "",
  ].join("\n");
}
