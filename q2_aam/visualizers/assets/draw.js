// Charts of charts.js, in the colours that the browser asks for.
"use strict";
(() => {
// A colour of the light page, and what it is on a dark one.
const DARK = {
  "white": "#1b1f24", "#ffffff": "#1b1f24", "black": "#e8e8e8", "#222222": "#e8e8e8", "#777777": "#a4abb3",
  "#1f5f99": "#6fb3ec", "#d9641e": "#f0904f", "#2f8f4e": "#5cc07e", "#c23b3b": "#ef7d7d", "#c9a227": "#e0bf55",
  "#ececec": "#343a41", "#eeeeee": "#30353b", "#cccccc": "#4a5159",
  "#f7fbff": "#1f2b38", "#6baed6": "#2f77b5", "#08306b": "#cfe5fb",
};
const TEXT = "#d6dade", LINE = "#7d858e";
const AXES = { labelColor: TEXT, titleColor: TEXT, tickColor: LINE, domainColor: LINE };
const asked = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 600px)");
// Of a narrow window, what axes and their labels take, pixels.
const BESIDE = 110;

// Where a colour stands. Elsewhere a word such as "white" is a name that a user gave.
const COLOURED = /^(value|range|background)$|color$|fill$|stroke$/i;
function recoloured(part, key) {
  if (typeof part === "string") return (COLOURED.test(key) && DARK[part]) || part;
  if (part === null || typeof part !== "object" || key === "datasets" || key === "params") return part;
  if (Array.isArray(part)) return part.map((each) => recoloured(each, key));
  return Object.fromEntries(Object.entries(part).map(([name, each]) => [name, recoloured(each, name)]));
}

function dark(specification) {
  const found = recoloured(specification);
  const { axis = {}, legend = {}, text = {} } = found.config || {};
  const config = { axis: { ...AXES, ...axis }, legend: { ...AXES, ...legend }, text: { color: TEXT, ...text } };
  return { ...found, config: { ...found.config, ...config, header: AXES } };
}

// In a narrow window a picture is smaller, its words are not, and its legend stands below.
function fitted(specification) {
  const { width, height, config = {} } = specification;
  const room = document.documentElement.clientWidth - BESIDE;
  const legend = { orient: "bottom", columns: 1, ...config.legend };
  const axisX = { ...config.axisX, tickCount: 4 };
  const found = { ...specification, config: { ...config, legend, axisX } };
  if (typeof width !== "number" || width <= room) return found;
  const size = typeof height === "number" ? { height: Math.round(height * Math.max(room / width, 0.7)) } : {};
  return { ...found, width: room, ...size };
}

// Draws of one chart follow one another: two at once would leave both pictures.
const last = {}, changes = {};
function draw({ name, specification, options }) {
  const chosen = changes[name] ? changes[name](specification) : specification;
  const coloured = asked.matches ? dark(chosen) : chosen;
  const shown = narrow.matches ? fitted(coloured) : coloured;
  const tooltip = { theme: asked.matches ? "dark" : "light" };
  const drawn = () => vegaEmbed(`#chart-${name}`, shown, { ...options, tooltip }).catch(console.error);
  last[name] = (last[name] || Promise.resolve()).then(drawn);
  return last[name];
}

function all() { CHARTS.forEach(draw); }
asked.addEventListener("change", all);
narrow.addEventListener("change", all);
all();
// Controls change a chart by what they make of its specification.
window.redrawn = (name, change) => {
  changes[name] = change;
  return draw(CHARTS.find((chart) => chart.name === name));
};
})();
