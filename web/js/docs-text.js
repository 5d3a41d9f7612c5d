// From an OpenAPI description to what the page shows of it, as plain values.

/** The schema that a reference means. */
export function resolved(schema, description) {
  const name = schema?.$ref?.replace("#/components/schemas/", "");
  return name ? description.components.schemas[name] : (schema ?? {});
}

/** `string`, `number, 0 to 2`, `one of wav, flac`, `list of Job` … */
export function kindOf(schema, description) {
  if (schema.$ref) return schema.$ref.replace("#/components/schemas/", "");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return `one of ${schema.enum.filter((value) => value !== null).join(", ")}`;
  if (schema.anyOf) return schema.anyOf.map((part) => kindOf(part, description)).join(" or ");
  const kinds = [schema.type ?? "anything"].flat().filter((kind) => kind !== "null");
  if (kinds.includes("array")) return `list of ${kindOf(schema.items ?? {}, description)}`;
  const range = schema.minimum !== undefined && schema.maximum !== undefined ? `, ${schema.minimum} to ${schema.maximum}` : "";
  const format = schema.format ? ` (${schema.format})` : "";
  return kinds.join(" or ") + format + range;
}

/** A line for each property of an object, the required ones first. */
export function rows(schema, description) {
  const { properties = {}, required = [] } = resolved(schema, description);
  const entries = Object.entries(properties).map(([name, property]) => ({
    name,
    kind: kindOf(property, description),
    note: required.includes(name) ? "required" : "",
  }));
  return entries.sort((one, other) => Number(other.note !== "") - Number(one.note !== ""));
}

/** The operations, grouped by tag in the order of the description. */
export function describe(description) {
  const all = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method,
      path,
      tag: operation.tags[0],
      summary: operation.summary,
      tables: tables(operation, description),
    })),
  );
  return description.tags.map(({ name, description: note }) => ({
    tag: name,
    note,
    list: all.filter(({ tag }) => tag === name),
  }));
}

function tables(operation, description) {
  const parameters = (operation.parameters ?? []).map(({ name, in: place, required, schema, description: note }) => ({
    name,
    kind: kindOf(schema, description),
    note: [note, `in the ${place}`, required ? "required" : ""].filter(Boolean).join(", "),
  }));
  const bodies = Object.entries(operation.requestBody?.content ?? {}).map(([type, { schema }]) => [
    `Body, ${type}`,
    rows(schema, description),
  ]);
  const answers = Object.entries(operation.responses).map(([status, { description: note, content }]) => {
    const [[type, { schema } = {}] = []] = Object.entries(content ?? {});
    return { name: status, kind: schema ? `${kindOf(schema, description)}, ${type}` : "no body", note };
  });
  return [["Parameters", parameters], ...bodies, ["Answers", answers]];
}

/** Whether every word of a search is to be found in an operation. */
export function matches({ method, path, summary }, search) {
  const text = `${method} ${path} ${summary}`.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
