// What a chart says where the mouse points at it, as a table that is opened by the keyboard, too.
"use strict";
(() => {
const MOST = 500;

// Titles and formats of what tooltips show, by the name of the column.
function shown(part, found = new Map()) {
  if (part === null || typeof part !== "object") return found;
  for (const { field, title, format } of [].concat((part.encoding || {}).tooltip || [])) {
    if (field) found.set(field, { title: title || field, format });
  }
  for (const [name, each] of Object.entries(part)) if (name !== "datasets") shown(each, found);
  return found;
}

// Tables of a chart's data that have these columns; lines across a picture have one at most.
function tables(specification) {
  const columns = shown(specification);
  return Object.values(specification.datasets || {}).map((rows) => {
    const names = [...columns.keys()].filter((name) => rows.length && name in rows[0]);
    return { rows, heads: names.map((name) => ({ name, ...columns.get(name) })) };
  }).filter(({ heads }) => heads.length > 1);
}

function text(value, format) {
  if (value === null || value === undefined) return "\u2013";
  if (typeof value !== "number") return String(value);
  return (format || "").endsWith("%") ? `${(100 * value).toFixed(1)}%` : String(Number(value.toPrecision(4)));
}

function filled({ rows, heads }, label) {
  const place = document.createElement("div");
  place.className = "scroll values";
  place.tabIndex = 0;
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", label);
  const table = place.appendChild(document.createElement("table"));
  table.className = "table table-condensed scores";
  const head = table.createTHead().insertRow();
  for (const { title } of heads) {
    const cell = head.appendChild(document.createElement("th"));
    cell.scope = "col";
    cell.textContent = title;
  }
  const body = table.createTBody();
  for (const row of rows.slice(0, MOST)) {
    const line = body.insertRow();
    for (const { name, format } of heads) {
      const cell = line.insertCell();
      cell.textContent = text(row[name], format);
      if (typeof row[name] === "number") cell.className = "number";
    }
  }
  if (rows.length > MOST) {
    const rest = document.createElement("p");
    rest.textContent = `The first ${MOST} of ${rows.length.toLocaleString("en")}; all are in the file.`;
    place.append(rest);
  }
  return place;
}

for (const { name, specification } of CHARTS) {
  const found = tables(specification);
  if (!found.length) continue;
  const figure = document.getElementById(`chart-${name}`).closest("figure");
  const label = figure.querySelector(".scroll").getAttribute("aria-label");
  const details = document.createElement("details");
  details.appendChild(document.createElement("summary")).textContent = "Values of the picture";
  // Thousands of rows are made when somebody asks for them.
  details.addEventListener("toggle", () => {
    if (details.childElementCount === 1) details.append(...found.map((each) => filled(each, `Values: ${label}`)));
  });
  figure.append(details);
}
})();
