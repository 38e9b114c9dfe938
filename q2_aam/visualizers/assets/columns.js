// Colour and split of charts by a column that is chosen.
"use strict";
(() => {
const { charts, columns } = WIDGETS.columns;
const MISSING = "#777777";

function valuesOf(column) { return column.numbers || column.codes.map((code) => column.levels[code]); }

function colourOf(column) {
  if (column.numbers) {
    return {
      field: "colour", type: "quantitative", title: column.name, scale: { scheme: "viridis" },
      legend: { gradientLength: 160, titleLimit: 180 },
      condition: { test: "datum.colour === null", value: MISSING },
    };
  }
  const scheme = column.levels.length <= 10 ? "tableau10" : "tableau20";
  const legend = { symbolLimit: 0, labelLimit: 220, titleLimit: 180, symbolOpacity: 1 };
  return { field: "colour", type: "nominal", title: column.name, scale: { domain: column.levels, scheme }, legend };
}

// The samples' layer with their colour, and the whole once for each value of the other column.
function changed(specification, colour, split) {
  const found = structuredClone(specification);
  const samples = found.layer.find((layer) => layer.name === "samples");
  const data = samples.data || found.data;
  const rows = found.datasets[data.name];
  if (colour) {
    valuesOf(colour).forEach((value, place) => { rows[place].colour = value; });
    samples.encoding.color = colourOf(colour);
    // Samples without a value stay, in grey.
    samples.mark = { ...samples.mark, invalid: null };
    const type = colour.numbers ? "quantitative" : "nominal";
    samples.encoding.tooltip.push({ field: "colour", type, title: colour.name });
  }
  if (!split) return found;
  split.codes.forEach((code, place) => { rows[place].split = split.levels[code]; });
  const { layer, width, height, ...rest } = found;
  for (const each of layer) if (each.data && each.data.name === data.name) delete each.data;
  const header = { labelLimit: 260, titleLimit: 400 };
  const many = split.levels.filter((level, place) => split.codes.includes(place));
  const size = typeof height === "number" ? { width: 250, height: Math.round((250 * height) / width) } : { width: 250, height };
  const room = document.documentElement.clientWidth;
  return {
    ...rest, data,
    facet: { field: "split", type: "nominal", title: split.name, sort: many, header },
    columns: Math.max(1, Math.min(3, Math.floor(room / 340))),
    spec: { layer, ...size },
  };
}

function choice(label, none) {
  const box = document.createElement("label");
  const select = document.createElement("select");
  select.append(new Option(none, ""));
  columns.forEach((column, place) => select.append(new Option(column.name, place)));
  box.append(`${label}: `, select, " ");
  return [box, select];
}

for (const name of charts) {
  const place = document.getElementById(`chart-${name}`);
  if (!place) continue;
  const box = document.createElement("p");
  box.className = "choices";
  const [colourBox, colour] = choice("Colour by", "as drawn");
  const [splitBox, split] = choice("Split by", "nothing");
  box.append(colourBox, splitBox);
  place.parentElement.before(box);
  const draw = () => {
    const chosen = [colour, split].map((select) => columns[select.value]);
    redrawn(name, (specification) => changed(specification, ...chosen));
  };
  colour.addEventListener("change", draw);
  split.addEventListener("change", draw);
}
})();
