// Shows the OpenAPI description that this server gives of itself. Everything is put in as text, nothing as markup.

import { describe, matches } from "./docs-text.js";

const operations = document.getElementById("operations");
const about = document.getElementById("about");
const filter = document.getElementById("filter");

/** An element with text and children. */
function make(tag, { className, text, children = [], ...data } = {}) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(data)) element.dataset[name] = value;
  element.append(...children);
  return element;
}

function table(title, entries) {
  if (entries.length === 0) return [];
  const body = entries.map(({ name, kind, note }) =>
    make("tr", {
      children: [
        make("td", { children: [make("code", { text: name })] }),
        make("td", { text: kind }),
        make("td", { className: "faint", text: note }),
      ],
    }),
  );
  const fields = make("table", { className: "fields", children: [make("tbody", { children: body })] });
  return [make("section", { children: [make("h3", { text: title }), fields] })];
}

function show(operation) {
  const { method, path, summary, tables } = operation;
  const head = make("summary", {
    children: [
      make("span", { className: "method", text: method.toUpperCase(), method }),
      make("code", { className: "path", text: path }),
      make("span", { className: "faint", text: summary }),
    ],
  });
  const body = make("div", {
    className: "operation-body",
    children: tables.flatMap(([title, entries]) => table(title, entries)),
  });
  return make("details", { className: "operation", children: [head, body] });
}

try {
  const reply = await fetch("/openapi.json");
  if (!reply.ok) throw new Error(`the server answered ${reply.status}`);
  const description = await reply.json();
  document.getElementById("version").textContent = description.info.version;
  about.textContent = description.info.description;
  const groups = describe(description).map(({ tag, note, list }) => {
    const shown = list.map((operation) => ({ operation, element: show(operation) }));
    const section = make("section", {
      children: [make("h2", { text: tag }), make("p", { className: "faint", text: note }), ...shown.map(({ element }) => element)],
    });
    operations.append(section);
    return { section, shown };
  });
  filter.addEventListener("input", () => {
    for (const { section, shown } of groups) {
      for (const { operation, element } of shown) element.hidden = !matches(operation, filter.value);
      section.hidden = shown.every(({ element }) => element.hidden);
    }
  });
} catch (error) {
  about.textContent = `The description cannot be read: ${error.message}`;
}
