// The confusion matrix of two classes at a threshold that is chosen.
"use strict";
(() => {
const { classes, truth, probability, threshold } = WIDGETS.threshold;

function made(tag, text, attributes) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  return element;
}

function share(part, whole) { return whole ? `${((100 * part) / whole).toFixed(1)}%` : "\u2013"; }

const place = document.getElementById("widget-threshold");
const label = made("label", `Name '${classes[1]}' from this probability on: `);
const input = made("input", "", { type: "range", min: 0, max: 1, step: "any", id: "threshold" });
const output = made("output", "", { for: "threshold" });
label.append(input, " ", output);
const scroll = made("div", "", { class: "scroll", role: "group", "aria-label": "Confusion matrix at the threshold" });
const table = made("table", "", { class: "table table-condensed scores", "aria-label": "Confusion matrix at the threshold" });
const head = table.createTHead().insertRow();
for (const text of ["True class", ...classes.map((name) => `Predicted ${name}`), "Predicted right"]) {
  head.append(made("th", text, { scope: "col" }));
}
const body = table.createTBody();
const rates = made("p", "", { class: "explanation", "aria-live": "polite" });
scroll.append(table);
place.append(label, scroll, rates);

function draw() {
  const limit = Number(input.value);
  const counts = [[0, 0], [0, 0]];
  truth.forEach((code, row) => { counts[code][Number(probability[row] >= limit)] += 1; });
  output.textContent = limit.toFixed(3);
  body.replaceChildren(...counts.map((row, code) => {
    const line = document.createElement("tr");
    line.append(made("th", classes[code], { scope: "row" }));
    for (const count of row) line.append(made("td", count.toLocaleString("en"), { class: "number" }));
    line.append(made("td", share(row[code], row[0] + row[1]), { class: "number" }));
    return line;
  }));
  const [[right0, wrong0], [wrong1, right1]] = counts;
  const recalls = [[right0, right0 + wrong0], [right1, right1 + wrong1]].filter(([, whole]) => whole);
  const balanced = recalls.reduce((sum, [part, whole]) => sum + part / whole, 0) / recalls.length;
  rates.textContent = `Balanced accuracy ${balanced.toFixed(3)}, accuracy ${share(right0 + right1, truth.length)}. Of the `
    + `samples named '${classes[1]}', ${share(right1, right1 + wrong0)} are of it; of those named '${classes[0]}', `
    + `${share(right0, right0 + wrong1)}.`;
}
input.addEventListener("input", draw);
input.value = threshold;
draw();
})();
