// Tables that are searched and sorted: rows come from tables.js, and are only ever written as text.
"use strict";
(() => {
// Rows at first, and as many more as are asked for at a time.
const SHOWN = 20, MORE = 100;
const LETTERS = new Intl.Collator(undefined, { numeric: true });

function textOf(cell) { return Array.isArray(cell) ? cell[0] : cell; }

// Numbers by their size, text by its letters; what is not defined comes last in both orders.
function compared(one, other, sign) {
  if (Array.isArray(one) && Array.isArray(other)) {
    if (one[1] === null || other[1] === null) return (one[1] === null) - (other[1] === null);
    return sign * (one[1] - other[1]);
  }
  return sign * LETTERS.compare(textOf(one), textOf(other));
}

function copied(text, button) {
  const done = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
  // Browsers have no clipboard for pages that they do not trust.
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(done, () => selected(text, button, done));
  selected(text, button, done);
}

function selected(text, button, done) {
  const area = document.body.appendChild(document.createElement("textarea"));
  area.value = text;
  area.select();
  const copies = document.execCommand("copy");
  area.remove();
  if (copies) return done();
  // Where a page may not copy, the whole text is there to be copied by hand.
  button.previousSibling.textContent = text + " ";
  button.previousSibling.classList.add("whole");
}

function cellOf(cell, toCopy) {
  const made = document.createElement("td");
  const text = textOf(cell);
  if (Array.isArray(cell)) made.className = "number";
  if (!toCopy || !text) {
    made.textContent = text;
    if (text.length > 30) made.className = "long";
    return made;
  }
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.addEventListener("click", () => copied(text, button));
  const start = document.createElement("span");
  start.textContent = text.length > 8 ? text.slice(0, 7) + "\u2026 " : text + " ";
  start.title = text;
  start.className = "sequence";
  made.append(start, button);
  return made;
}

function browse(table, data) {
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const words = data.rows.map((row) => row.map(textOf).join("\n").toLowerCase());
  let order = data.rows.map((row, place) => place);
  let found = order;
  let shown = SHOWN;
  let sorted = { column: -1, sign: 1 };

  const bar = document.createElement("p");
  bar.className = "search";
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = "Search";
  input.setAttribute("aria-label", "Search");
  const count = document.createElement("span");
  count.setAttribute("aria-live", "polite");
  bar.append(input, count);
  table.parentElement.before(bar);
  const more = document.createElement("button");
  more.type = "button";
  more.className = "btn btn-default btn-sm";
  table.parentElement.after(more);

  function draw() {
    const rows = found.slice(0, shown).map((place) => {
      const row = document.createElement("tr");
      row.append(...data.rows[place].map((cell, column) => cellOf(cell, data.copied.includes(column))));
      return row;
    });
    body.replaceChildren(...rows);
    const of = data.rows.length.toLocaleString("en");
    count.textContent = found.length < data.rows.length ? `${found.length.toLocaleString("en")} of ${of}` : of;
    more.textContent = `Show ${Math.min(MORE, found.length - shown)} more`;
    more.hidden = found.length <= shown;
  }

  function search() {
    const parts = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = order.filter((place) => parts.every((part) => words[place].includes(part)));
    shown = SHOWN;
    draw();
  }

  function sort(column) {
    const number = Array.isArray((data.rows[0] || [])[column]);
    // The largest numbers first, and text from A.
    const sign = sorted.column === column ? -sorted.sign : number ? -1 : 1;
    sorted = { column, sign };
    order = data.rows.map((row, place) => place);
    order.sort((a, b) => compared(data.rows[a][column], data.rows[b][column], sign) || a - b);
    heads.forEach((head, place) => {
      const own = sign > 0 ? "ascending" : "descending";
      head.setAttribute("aria-sort", place === column ? own : "none");
    });
    search();
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
  input.addEventListener("input", search);
  more.addEventListener("click", () => { shown += MORE; draw(); });
  table.classList.add("browsed");
  draw();
}

for (const table of document.querySelectorAll("table[data-browse]")) browse(table, TABLES[table.dataset.browse]);
})();
